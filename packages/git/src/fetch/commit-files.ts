import { LktError } from '@lkt/core';
import { type EntryWithContent, fromRaw, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import { MAX_SIZE } from './bare-repository.ts';
import type { GitObjects } from './cat-file.ts';

/** Trees may name one another so that few objects are any number of files. */
const MAX_ENTRIES = 1_000_000;
const MAX_PATH = 4095;
const MAX_LINK = 4095;

interface TreeEntry {
  readonly mode: string;
  /** One char per byte. */
  readonly name: string;
  readonly id: string;
}

export interface GitCommit {
  readonly tree: string;
  /** When it was committed, in seconds since 1970. */
  readonly time: number;
}

/** A repository with a commit of it. */
export interface GitCheckout {
  readonly objects: GitObjects;
  readonly tree: string;
  /** Where a submodule of it is; undefined: they are left out, and their directories are empty. */
  readonly submodule: ((path: RawPath, commit: string) => Promise<GitCheckout>) | undefined;
}

/**
 * A commit, read as gitformat-commit(5) has it.
 * @throws LktError NOT_FOUND, DOCKERFILE_INVALID for another kind of object
 */
export async function readCommit(objects: GitObjects, id: string): Promise<GitCommit | undefined> {
  const object = await objects.read(id);
  if (object === undefined) return undefined;
  const text = object.content.toString('latin1');
  if (object.type !== 'commit') {
    const [, named] = /^object ([0-9a-f]+)\n/.exec(text) ?? [];
    throw new LktError('DOCKERFILE_INVALID', `${id} is a ${object.type}, not a commit`, {
      fix: named === undefined ? 'write a commit' : `write the commit that it names: ${named}`,
    });
  }
  const [, tree] = /^tree ([0-9a-f]+)\n/.exec(text) ?? [];
  const [, time] = /^committer .*> (-?\d+) [+-]\d{4}$/m.exec(text) ?? [];
  if (tree === undefined) throw new LktError('IMAGE_INVALID', `the commit ${id} names no tree`);
  return { tree, time: Number(time ?? 0) };
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

/** A tree, as gitformat-pack(5) and the source of git have it: `mode name NUL id`, again and again. */
async function readTree(objects: GitObjects, id: string): Promise<readonly TreeEntry[]> {
  const object = await objects.read(id);
  if (object?.type !== 'tree') throw new LktError('IMAGE_INVALID', `git has no tree ${id}`);
  const { content } = object;
  const idLength = id.length / 2;
  const entries: TreeEntry[] = [];
  const names = new Set<string>();
  for (let at = 0; at < content.length;) {
    const end = content.indexOf(0, at);
    const head = end === -1 ? '' : content.toString('latin1', at, end);
    const space = head.indexOf(' ');
    // Zeros in front are of very old repositories.
    const mode = head.slice(0, space).replace(/^0+/, '');
    const name = head.slice(space + 1);
    const next = end + 1 + idLength;
    if (
      space === -1 ||
      next > content.length ||
      !MODE.test(mode) ||
      names.has(name) ||
      !isName(name)
    )
      throw new LktError(
        'IMAGE_INVALID',
        `the git tree ${id} is broken at ${JSON.stringify(name)}`,
      );
    names.add(name);
    entries.push({ mode, name, id: content.toString('hex', end + 1, next) });
    at = next;
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
