import { digestOf } from '@lkt/core';
import { type RawPath, singleChunk, SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { Content, Contents, TreeEntry } from './part.ts';

/** Entries made by lkt, with their contents. */
export class MemoryEntries implements Contents {
  readonly #entries = new Map<RawPath, TreeEntry>();
  readonly #contents = new Map<string, Buffer>();

  directory(path: RawPath, mode = 0o755, owner: { uid: number; gid: number } = ROOT): this {
    return this.#add({ ...base(path, mode, owner), type: 'directory' });
  }

  /** Adds a directory that keeps owner and mode of an existing one. */
  weakDirectory(path: RawPath, mode: number, owner: { uid: number; gid: number }): this {
    return this.#add({ ...base(path, mode, owner), type: 'directory', isWeak: true });
  }

  symlink(path: RawPath, link: RawPath, owner: { uid: number; gid: number } = ROOT): this {
    return this.#add({ ...base(path, 0o777, owner), type: 'symlink', link });
  }

  file(
    path: RawPath,
    text: string | Buffer,
    mode = 0o644,
    owner: { uid: number; gid: number } = ROOT,
  ): this {
    const data = Buffer.from(text);
    this.#contents.set(path, data);
    return this.#add({
      ...base(path, mode, owner),
      type: 'file',
      size: data.length,
      content: path,
    });
  }

  has(path: RawPath): boolean {
    return this.#entries.has(path);
  }

  get entries(): readonly TreeEntry[] {
    return [...this.#entries.values()];
  }

  get key(): string {
    return [...this.#contents].map(([name, data]) => `${name}\0${digestOf(data)}`).join('\0');
  }

  async *read(wanted: ReadonlySet<string>): AsyncGenerator<Content> {
    for (const [name, data] of this.#contents) {
      if (wanted.has(name)) yield { name, data: singleChunk(data) };
    }
  }

  #add(entry: TreeEntry): this {
    this.#entries.set(entry.path, entry);
    return this;
  }
}

const ROOT = { uid: 0, gid: 0 };

function base(
  path: RawPath,
  mode: number,
  { uid, gid }: { uid: number; gid: number },
): Omit<TreeEntry, 'type'> {
  return { path, mode, uid, gid, mtime: SOURCE_DATE_EPOCH, size: 0 };
}
