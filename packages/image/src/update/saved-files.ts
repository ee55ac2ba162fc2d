import { readFile } from 'node:fs/promises';
import { undefinedIf, writeFileAtomic } from '@lkt/core';

/** The texts of files before an update, to restore them if it fails. */
export class SavedFiles {
  readonly #texts: ReadonlyMap<string, string>;

  private constructor(texts: ReadonlyMap<string, string>) {
    this.#texts = texts;
  }

  /** Reads those of the files that exist. */
  static async read(paths: Iterable<string>): Promise<SavedFiles> {
    const texts = new Map<string, string>();
    for (const path of paths) {
      const text = await readFile(path, 'utf8').catch(undefinedIf('ENOENT'));
      if (text !== undefined) texts.set(path, text);
    }
    return new SavedFiles(texts);
  }

  /**
   * Restores the saved text of each file that has changed. Returns the paths of these files.
   * @throws DISK_FULL, IO_FAILED
   */
  async restore(): Promise<readonly string[]> {
    const restored: string[] = [];
    for (const [path, text] of this.#texts) {
      if ((await readFile(path, 'utf8').catch(undefinedIf('ENOENT'))) === text) continue;
      await writeFileAtomic(path, text);
      restored.push(path);
    }
    return restored;
  }
}
