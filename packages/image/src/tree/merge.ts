import { LktError } from '@lkt/core';
import { compareBytes, fromRaw, parentPath, type RawPath } from '@lkt/oci';
import { RootLinks } from './links.ts';
import { rootEntry } from './memory.ts';
import type { Part, TreeEntry } from './part.ts';

/** A path of the composed image. */
export interface RootEntry extends TreeEntry {
  readonly part: number;
  /** The last part with an equal entry. */
  readonly wantedBy: number;
}

/** The composed image, with every path once. */
export interface Root {
  readonly parts: readonly Part[];
  readonly entries: ReadonlyMap<RawPath, RootEntry>;
  /**
   * For each part the directories that it names or has entries in, and its other entries; sorted.
   */
  readonly byPart: readonly {
    readonly directories: readonly RawPath[];
    readonly others: readonly RootEntry[];
  }[];
}

/**
 * Merges parts. A later file, link or device replaces an earlier one, and a later directory sets
 * owner and mode. Implied directories belong to root, with mode 0755.
 * @throws LktError TREE_CONFLICT, naming both parts, for a directory and another type at one path
 */
export function mergeParts(parts: readonly Part[]): Root {
  const merger = new Merger(parts);
  for (const [index, part] of parts.entries()) {
    for (const entry of part.entries) merger.add(index, entry);
  }
  return merger.root();
}

class Merger {
  readonly #parts: readonly Part[];
  readonly #links: RootLinks;
  readonly #entries = new Map<RawPath, RootEntry>();
  readonly #directories: readonly Set<RawPath>[];

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
    this.#links = new RootLinks(parts);
    this.#directories = parts.map(() => new Set());
  }

  add(part: number, entry: TreeEntry): void {
    const path = this.#links.realPath(entry.path);
    if (entry.type === 'directory') {
      this.#addDirectory(part, path, entry);
      return;
    }
    const present = this.#entries.get(path);
    if (present?.type === 'directory') throw this.#conflict(path, present, part, entry.type);
    this.#checkTwice(part, entry, path, present);
    this.#imply(part, parentPath(path));
    // An equal entry stays, so that segments of earlier parts do not change.
    const keeps = present !== undefined && isSame(present, entry);
    const owner = keeps ? present.part : part;
    this.#entries.set(path, { ...entry, path, part: owner, wantedBy: part });
  }

  root(): Root {
    const others = this.#parts.map((): RootEntry[] => []);
    for (const entry of this.#entries.values())
      if (entry.type !== 'directory') others[entry.part]?.push(entry);
    return {
      parts: this.#parts,
      entries: new Map([...this.#entries].toSorted(([a], [b]) => compareBytes(a, b))),
      byPart: this.#directories.map((directories, part) => ({
        directories: [...directories].toSorted(compareBytes),
        others: (others[part] ?? []).toSorted((a, b) => compareBytes(a.path, b.path)),
      })),
    };
  }

  #addDirectory(part: number, path: RawPath, entry: TreeEntry): void {
    if (path === '') return;
    if (this.#links.has(path)) {
      // The directory that the link leads to keeps its owner and mode.
      this.#imply(part, this.#links.directory(path));
      return;
    }
    this.#imply(part, parentPath(path));
    const present = this.#entries.get(path);
    if (present !== undefined && present.type !== 'directory')
      throw this.#conflict(path, present, part, 'directory');
    if (entry.isWeak !== true || present === undefined)
      this.#entries.set(path, { ...entry, path, part, wantedBy: part });
    this.#directories[part]?.add(path);
  }

  /** Adds missing directories from the root down to `path`. */
  #imply(part: number, path: RawPath): void {
    const own = this.#directories[part];
    for (let at = path; at !== '' && own?.has(at) === false; at = parentPath(at)) {
      own.add(at);
      const present = this.#entries.get(at);
      if (present === undefined) {
        this.#entries.set(at, { ...IMPLIED, path: at, part, wantedBy: part });
      } else if (present.type !== 'directory') {
        throw this.#conflict(at, present, part, 'directory');
      }
    }
  }

  /** Rejects two paths of one part that a link of another part joins. */
  #checkTwice(part: number, entry: TreeEntry, path: RawPath, present: RootEntry | undefined): void {
    if (present?.part !== part || isSame(present, entry)) return;
    throw new LktError(
      'TREE_CONFLICT',
      `${this.#label(part)} has two entries for /${fromRaw(path)}, one of them under the path /${fromRaw(entry.path)}`,
      { fix: 'build the image with /bin, /sbin and /lib as links into /usr' },
    );
  }

  #conflict(path: RawPath, present: RootEntry, part: number, type: TreeEntry['type']): LktError {
    const where = (what: TreeEntry['type'], whose: number): string =>
      `a ${WORDS[what]} in ${this.#label(whose)}`;
    return new LktError(
      'TREE_CONFLICT',
      `/${fromRaw(path)} is ${where(present.type, present.part)} and ${where(type, part)}`,
    );
  }

  #label(part: number): string {
    return this.#parts[part]?.label ?? '';
  }
}

const IMPLIED: TreeEntry = rootEntry('', 'directory', 0o755);

const WORDS: Readonly<Record<TreeEntry['type'], string>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symbolic link',
  char: 'character device',
  block: 'block device',
  fifo: 'fifo',
};

/** Returns the names of each non-empty file, by content. */
export function namesByContent(
  entries: readonly RootEntry[],
): ReadonlyMap<string, readonly RootEntry[]> {
  return Map.groupBy(entries.filter(hasContent), ({ content = '' }) => content);
}

/** Reports whether an entry is a non-empty file. */
export function hasContent({ type, size }: TreeEntry): boolean {
  return type === 'file' && size > 0;
}

/** Reports whether two entries are equal and not files. Ignores contents. */
function isSame(a: TreeEntry, b: TreeEntry): boolean {
  return (
    a.type !== 'file' &&
    a.type === b.type &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.mtime === b.mtime &&
    a.link === b.link &&
    a.devMajor === b.devMajor &&
    a.devMinor === b.devMinor
  );
}
