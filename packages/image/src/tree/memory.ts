import { digestOf } from '@lkt/core';
import { type RawPath, singleChunk, SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { Content, Contents, TreeEntry } from './part.ts';

/** Entries made by lkt, with their contents. */
export class MemoryEntries implements Contents {
  readonly #entries = new Map<RawPath, TreeEntry>();
  readonly #contents = new Map<string, Buffer>();

  directory(path: RawPath): this {
    return this.#add(rootEntry(path, 'directory', 0o755));
  }

  /** Adds a directory that keeps owner and mode of an existing one. */
  weakDirectory(path: RawPath): this {
    return this.#add({ ...rootEntry(path, 'directory', 0o755), isWeak: true });
  }

  symlink(path: RawPath, link: RawPath): this {
    return this.#add({ ...rootEntry(path, 'symlink', 0o777), link });
  }

  file(path: RawPath, text: string | Buffer, mode = 0o644): this {
    const data = Buffer.from(text);
    this.#contents.set(path, data);
    return this.#add({ ...rootEntry(path, 'file', mode, data.length), content: path });
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

/** Returns an entry that belongs to root, with the time of all builds. */
export function rootEntry<T extends TreeEntry['type']>(
  path: RawPath,
  type: T,
  mode: number,
  size = 0,
): Omit<TreeEntry, 'content'> & { readonly type: T } {
  return { path, type, mode, uid: 0, gid: 0, mtime: SOURCE_DATE_EPOCH, size };
}
