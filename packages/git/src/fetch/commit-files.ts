import { LktError } from '@lkt/core';
import { type EntryWithContent, fromRaw, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { brokenTree, parseCommit, parseTree, type TreeEntry } from '../objects.ts';
import { MAX_REPOSITORY_BYTES } from './bare-repository.ts';
import type { CatFile } from './cat-file.ts';

/** A limit, because few tree objects can describe any number of files. */
const MAX_ENTRIES = 1_000_000;
const MAX_PATH_BYTES = 4095;
const MAX_LINK_BYTES = 4095;

/** A commit's tree in an opened repository. */
export interface GitCheckout {
  readonly objects: CatFile;
  readonly tree: string;
  /** Opens a submodule; undefined: submodules are skipped, and their directories stay empty. */
  readonly submodule: ((path: RawPath, commit: string) => Promise<GitCheckout>) | undefined;
}

/**
 * Returns the tree of a commit, and its committer time in seconds since 1970; undefined if there is
 * no such object.
 * @throws DOCKERFILE_INVALID for another kind of object
 * @throws IMAGE_INVALID for a commit without a tree
 */
export async function readCommit(
  objects: CatFile,
  id: string,
): Promise<{ readonly tree: string; readonly time: number } | undefined> {
  const object = await objects.read(id);
  if (object === undefined) return undefined;
  if (object.type !== 'commit') {
    const [, named] = /^object ([0-9a-f]+)\n/.exec(object.content.toString('latin1')) ?? [];
    throw new LktError('DOCKERFILE_INVALID', `${id} is a ${object.type}, not a commit`, {
      fix:
        named === undefined
          ? 'write the id of a commit'
          : `write the commit it points to: ${named}`,
    });
  }
  const { tree, time } = parseCommit(object.content);
  if (tree === undefined) throw new LktError('IMAGE_INVALID', `the commit ${id} has no tree`);
  return { tree, time };
}

/**
 * Reads the files of a commit as git stores them: without line ending conversion and substitutions,
 * whatever `.gitattributes` sets. Modes are 644 and 755; root owns everything.
 */
export class CommitFiles {
  readonly #time: number;
  #entries = 0;
  #size = 0;

  /**
   * @param time modification time of every file, in seconds since 1970; at most SOURCE_DATE_EPOCH
   */
  constructor(time: number) {
    this.#time = Math.min(Math.max(time, 0), SOURCE_DATE_EPOCH);
  }

  /**
   * Yields the entries below a directory.
   * @throws NOT_FOUND if the directory does not exist
   * @throws IMAGE_INVALID for invalid trees and repositories over the limits
   */
  async *read(checkout: GitCheckout, directory: RawPath): AsyncGenerator<EntryWithContent> {
    let at = checkout;
    let tree = checkout.tree;
    // The current path in the repository of `at`.
    let inside: RawPath = '';
    for (const name of directory.split('/').filter((part) => part !== '')) {
      const path = join(inside, name);
      const found = (await readTree(at.objects, tree)).find((entry) => entry.name === name);
      if (found?.mode === SUBMODULE && at.submodule !== undefined) {
        at = await at.submodule(path, found.id);
        ({ tree } = at);
        inside = '';
        continue;
      }
      if (found?.mode !== DIRECTORY) {
        throw new LktError('NOT_FOUND', `the commit has no directory ${fromRaw(directory)}`);
      }
      tree = found.id;
      inside = path;
    }
    yield* this.#tree(at, tree, inside, '');
  }

  /**
   * @param inside path in the repository
   * @param target path in the result
   */
  async *#tree(
    checkout: GitCheckout,
    id: string,
    inside: RawPath,
    target: RawPath,
  ): AsyncGenerator<EntryWithContent> {
    const { objects, submodule } = checkout;
    for (const { mode, name, id: child } of await readTree(objects, id)) {
      const path = join(target, name);
      this.#count(path);
      const common = { path, uid: 0, gid: 0, mtime: this.#time, size: 0 };
      switch (mode) {
        case DIRECTORY:
          yield { ...common, type: 'directory', mode: 0o755 };
          yield* this.#tree(checkout, child, join(inside, name), path);
          break;
        case SUBMODULE: {
          yield { ...common, type: 'directory', mode: 0o755 };
          if (submodule === undefined) break;
          const other = await submodule(join(inside, name), child);
          yield* this.#tree(other, other.tree, '', path);
          break;
        }
        case SYMLINK: {
          const object = await objects.read(child);
          const link = object?.content.toString('latin1') ?? '';
          if (
            object?.type !== 'blob' ||
            link === '' ||
            link.length > MAX_LINK_BYTES ||
            /\0/.test(link)
          )
            throw invalid(path, 'is not a valid symbolic link');
          yield { ...common, type: 'symlink', mode: 0o777, link };
          break;
        }
        default: {
          const file = await objects.open(child);
          if (file === undefined) throw invalid(path, 'has no content');
          this.#size += file.size;
          if (this.#size > MAX_REPOSITORY_BYTES) throw invalid(path, 'exceeds the limit of 16 GiB');
          const isProgram = (Number.parseInt(mode, 8) & 0o100) !== 0;
          yield { ...common, type: 'file', mode: isProgram ? 0o755 : 0o644, ...file };
        }
      }
    }
  }

  #count(path: RawPath): void {
    this.#entries += 1;
    if (this.#entries > MAX_ENTRIES) throw invalid(path, 'exceeds the limit of a million files');
    if (path.length > MAX_PATH_BYTES)
      throw invalid(`${path.slice(0, 100)}…`, 'has a path that is too long');
  }
}

const DIRECTORY = '40000';
const SUBMODULE = '160000';
const SYMLINK = '120000';
/** Very old repositories have the mode 664. */
const MODE = /^(?:40000|160000|120000|100(?:644|755|664))$/;

/**
 * Returns the entries of a tree, each with a known mode and a name that is safe as a file name.
 * @throws IMAGE_INVALID for any other entry
 */
async function readTree(objects: CatFile, id: string): Promise<readonly TreeEntry[]> {
  const object = await objects.read(id);
  if (object?.type !== 'tree') throw new LktError('IMAGE_INVALID', `git has no tree ${id}`);
  const names = new Set<string>();
  const entries: TreeEntry[] = [];
  for (const entry of parseTree(id, object.content)) {
    const { mode, name } = entry;
    if (!MODE.test(mode) || names.has(name) || !isName(name)) throw brokenTree(id, name);
    names.add(name);
    entries.push(entry);
  }
  return entries;
}

/** Rejects names that lead elsewhere, and `.git`, which would look like a repository. */
function isName(name: string): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !/^\.git$/i.test(name)
  );
}

function join(directory: RawPath, name: string): RawPath {
  return directory === '' ? name : `${directory}/${name}`;
}

function invalid(path: RawPath, what: string): LktError {
  return new LktError(
    'IMAGE_INVALID',
    `${JSON.stringify(fromRaw(path))} of the repository ${what}`,
  );
}
