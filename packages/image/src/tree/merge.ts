import { LktError } from '@lkt/core';
import { compareBytes, fromRaw, parentPath, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { RootLinks } from './links.ts';
import type { Part, TreeEntry } from './part.ts';

/** A path of the composed image and the part that gives it. */
export interface RootEntry extends TreeEntry {
  readonly part: number;
  /** The last part that wants it so; another than `part` where several want the same. */
  readonly wantedBy: number;
}

/** The composed image: every path once. */
export interface Root {
  readonly parts: readonly Part[];
  readonly entries: ReadonlyMap<RawPath, RootEntry>;
  /** For each part the directories it has entries in or names itself, and the other paths that are its own; sorted. */
  readonly byPart: readonly {
    readonly directories: readonly RawPath[];
    readonly others: readonly RootEntry[];
  }[];
}

/**
 * Puts the parts over one another. A later file, link or device replaces an earlier one, and a later directory gives
 * its owner and mode to an earlier one. Directories that nobody names are root's, with mode 0755.
 * @throws LktError TREE_CONFLICT, naming both parts, where one wants a directory and the other something else
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
    const path = this.#links.place(entry.path);
    if (entry.type === 'directory') {
      this.#addDirectory(part, path, entry);
      return;
    }
    const present = this.#entries.get(path);
    if (present?.type === 'directory') throw this.#conflict(path, present, part, entry.type);
    this.#checkTwice(part, entry, path, present);
    this.#imply(part, parentPath(path));
    // An equal one stays where it is, so that a part that is put on top leaves those below as they are.
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
      // Its place is where the link leads; owner and mode are those of the directory there.
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

  /** Makes sure that there is a directory, with all above it. */
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

  /** Two paths of one part that a link of another part brings together. */
  #checkTwice(part: number, entry: TreeEntry, path: RawPath, present: RootEntry | undefined): void {
    if (present?.part !== part || isSame(present, entry)) return;
    throw new LktError(
      'TREE_CONFLICT',
      `${this.#label(part)} has two things that belong at /${fromRaw(path)}, one of them by its path /${fromRaw(entry.path)}`,
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

const IMPLIED: TreeEntry = {
  path: '',
  type: 'directory',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: SOURCE_DATE_EPOCH,
  size: 0,
};

const WORDS: Readonly<Record<TreeEntry['type'], string>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symbolic link',
  char: 'character device',
  block: 'block device',
  fifo: 'fifo',
};

/** Whether two entries that are not directories are the same thing. Contents of files are not looked at. */
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
