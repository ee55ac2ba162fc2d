import { LktError } from '@lkt/core';
import { algorithmOf, objectId } from './objects.ts';

/** A file of a git tree. `path` has one char per byte and no leading slash. */
export interface GitFile {
  readonly path: string;
  /** In octal: `100644`, `100755`, `120000`, `160000`. */
  readonly mode: string;
  readonly id: string;
}

/** The files and directories of a directory, by name. */
export type Directory<File> = Map<string, Directory<File> | File>;

/** Deeper paths do not fit into those of Linux, which have at most 4096 bytes. */
const MAX_DEPTH = 2048;

/**
 * Returns files as a tree of directories.
 * @throws GIT_FAILED for a path that no work tree can have; recursion would exhaust the stack
 */
export function asTree<File extends GitFile>(files: readonly File[]): Directory<File> {
  const root: Directory<File> = new Map();
  for (const file of files) {
    const parts = file.path.split('/');
    const name = parts.pop() ?? '';
    if (parts.length > MAX_DEPTH) {
      const begin = Buffer.from(file.path.slice(0, 40), 'latin1').toString();
      throw new LktError(
        'GIT_FAILED',
        `git has a path with ${parts.length} directories: ${begin}…`,
      );
    }
    let directory = root;
    for (const part of parts) {
      const next = directory.get(part);
      if (next instanceof Map) {
        directory = next;
      } else {
        const made: Directory<File> = new Map();
        directory.set(part, made);
        directory = made;
      }
    }
    directory.set(name, file);
  }
  return root;
}

/**
 * Returns the id of the git tree with these files, without writing it. The length of the files' ids
 * selects SHA-1 or SHA-256.
 * @see https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
 */
export function gitTreeId(files: readonly GitFile[]): string {
  return treeId(asTree(files), algorithmOf(files[0]?.id ?? ''));
}

/** Returns the id of the git tree of a directory. */
export function treeId(directory: Directory<GitFile>, algorithm: 'sha1' | 'sha256'): string {
  // A directory sorts as if its name ended in a slash.
  const entries = [...directory]
    .map(([name, node]) => ({ name, node, key: node instanceof Map ? `${name}/` : name }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const body = Buffer.concat(
    entries.flatMap(({ name, node }) => {
      const mode = node instanceof Map ? '40000' : node.mode;
      const id = node instanceof Map ? treeId(node, algorithm) : node.id;
      return [Buffer.from(`${mode} ${name}\0`, 'latin1'), Buffer.from(id, 'hex')];
    }),
  );
  return objectId(algorithm, 'tree', body);
}
