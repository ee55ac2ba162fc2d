import { createHash, hash, type Hash } from 'node:crypto';
import { LktError } from '@lkt/core';

/** The types of git objects (gitformat-pack(5)). */
export type ObjectType = 'blob' | 'commit' | 'tag' | 'tree';

/** An object of a repository. */
export interface GitObject {
  readonly type: ObjectType;
  readonly content: Buffer;
}

/** An entry of a tree object. */
export interface TreeEntry {
  /** In octal without leading zeros: `40000`, `100644`, `100755`, `120000`, `160000`. */
  readonly mode: string;
  /** One char per byte. */
  readonly name: string;
  readonly id: string;
}

/** Returns the hash algorithm of a repository, by the length of one of its ids. */
export function algorithmOf(id: string): 'sha1' | 'sha256' {
  return id.length === 64 ? 'sha256' : 'sha1';
}

/**
 * Returns the hash of an object's header. After the caller has added the content, its digest is the
 * object's id.
 */
export function objectHash(algorithm: 'sha1' | 'sha256', type: ObjectType, size: number): Hash {
  return createHash(algorithm).update(`${type} ${size}\0`);
}

/** Returns the id of an object. */
export function objectId(algorithm: 'sha1' | 'sha256', type: ObjectType, content: Buffer): string {
  return hash(algorithm, Buffer.concat([Buffer.from(`${type} ${content.length}\0`), content]));
}

/**
 * Returns the tree, and the commit time in seconds since 1970, of a commit object
 * (gitformat-commit(5)).
 */
export function parseCommit(content: Buffer): { readonly tree: string | undefined; time: number } {
  const text = content.toString('latin1');
  const [, tree] = /^tree ([0-9a-f]+)\n/.exec(text) ?? [];
  const [, time] = /^committer .*> (-?\d+) [+-]\d{4}$/m.exec(text) ?? [];
  return { tree, time: Number(time ?? 0) };
}

/**
 * Yields the entries of a tree object: `mode name NUL id`, repeated.
 * @param id the id of the tree
 * @throws IMAGE_INVALID for a truncated tree
 */
export function* parseTree(id: string, content: Buffer): Generator<TreeEntry> {
  const idLength = id.length / 2;
  for (let at = 0; at < content.length;) {
    const end = content.indexOf(0, at);
    const head = end === -1 ? '' : content.toString('latin1', at, end);
    const space = head.indexOf(' ');
    const name = head.slice(space + 1);
    const next = end + 1 + idLength;
    if (space === -1 || next > content.length) throw brokenTree(id, name);
    // Very old repositories have leading zeros.
    const mode = head.slice(0, space).replace(/^0+/, '');
    yield { mode, name, id: content.toString('hex', end + 1, next) };
    at = next;
  }
}

/** Returns the error for a tree object with an invalid entry. */
export function brokenTree(id: string, name: string): LktError {
  return new LktError('IMAGE_INVALID', `the git tree ${id} is broken at ${JSON.stringify(name)}`);
}
