import { LktError } from '@lkt/core';
import { type EntryWithContent, fromRaw, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { brokenTree, parseCommit, parseTree, type TreeEntry } from '../objects.ts';
import { MAX_SIZE } from './bare-repository.ts';
import type { CatFile } from './cat-file.ts';

/** Trees may name one another so that few objects are any number of files. */
const MAX_ENTRIES = 1_000_000;
const MAX_PATH = 4095;
const MAX_LINK = 4095;

export interface GitCommit {
  readonly tree: string;
  /** When it was committed, in seconds since 1970. */
  readonly time: number;
}

/** A repository with a commit of it. */
export interface GitCheckout {
  readonly objects: CatFile;
  readonly tree: string;
  /** Where a submodule of it is; undefined: they are left out, and their directories are empty. */
  readonly submodule: ((path: RawPath, commit: string) => Promise<GitCheckout>) | undefined;
}

/**
 * A commit, read as gitformat-commit(5) has it.
 * @throws LktError NOT_FOUND, DOCKERFILE_INVALID for another kind of object
 */
export async function readCommit(objects: CatFile, id: string): Promise<GitCommit | undefined> {
  const object = await objects.read(id);
  if (object === undefined) return undefined;
  if (object.type !== 'commit') {
    const [, named] = /^object ([0-9a-f]+)\n/.exec(object.content.toString('latin1')) ?? [];
    throw new LktError('DOCKERFILE_INVALID', `${id} is a ${object.type}, not a commit`, {
      fix: named === undefined ? 'write a commit' : `write the commit that it names: ${named}`,
    });
  }
  const { tree, time } = parseCommit(object.content);
  if (tree === undefined) throw new LktError('IMAGE_INVALID', `the commit ${id} names no tree`);
  return { tree, time };
}

/**
 * What a commit has in a directory, as git has it: no line endings are changed and nothing is put in, whatever
 * `.gitattributes` says. Modes are 644 and 755; root owns everything.
 */
export class GitFiles {
  readonly #time: number;
  #entries = 0;
  #size = 0;

  /** @param time of every file, in seconds since 1970; not after SOURCE_DATE_EPOCH */
  constructor(time: number) {
    this.#time = Math.min(Math.max(time, 0), SOURCE_DATE_EPOCH);
  }

  /** @throws LktError NOT_FOUND when there is no such directory; IMAGE_INVALID */
  async *read(checkout: GitCheckout, directory: RawPath): AsyncGenerator<EntryWithContent> {
    let at = checkout;
    let tree = checkout.tree;
    // Of the way, in the repository that it leads through.
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
   * @param target path in what comes out
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
          if (object?.type !== 'blob' || link === '' || link.length > MAX_LINK || /\0/.test(link))
            throw invalid(path, 'is no symbolic link');
          yield { ...common, type: 'symlink', mode: 0o777, link };
          break;
        }
        default: {
          const file = await objects.open(child);
          if (file === undefined) throw invalid(path, 'is not in the repository');
          this.#size += file.size;
          if (this.#size > MAX_SIZE) throw invalid(path, 'makes it more than 16 GiB');
          const isProgram = (Number.parseInt(mode, 8) & 0o100) !== 0;
          yield { ...common, type: 'file', mode: isProgram ? 0o755 : 0o644, ...file };
        }
      }
    }
  }

  #count(path: RawPath): void {
    this.#entries += 1;
    if (this.#entries > MAX_ENTRIES) throw invalid(path, 'makes it more than a million files');
    if (path.length > MAX_PATH) throw invalid(`${path.slice(0, 100)}…`, 'has too long a path');
  }
}

const DIRECTORY = '40000';
const SUBMODULE = '160000';
const SYMLINK = '120000';
/** 664 is of very old repositories. */
const MODE = /^(?:40000|160000|120000|100(?:644|755|664))$/;

/** The entries of a tree, each with a known mode and a name that is safe as a file name. */
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

/** Nothing that leads elsewhere, and nothing that git would take for a repository. */
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
