import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Digest of empty content, which some archives give to further hard links. */
const EMPTY = createHash('sha256').digest('hex');

/**
 * Returns libarchive's view of an archive or ISO image: a sorted mtree listing with content
 * digests.
 */
export function listing(archive: string): readonly string[] {
  return mtree('', `@${archive}`).map((line) => line.replace(` sha256digest=${EMPTY}`, ''));
}

/** Returns libarchive's view of a directory, without the directory itself. */
export function listDirectory(dir: string): readonly string[] {
  return mtree(',nlink', '-C', dir, '.');
}

function mtree(moreFields: string, ...args: readonly string[]): readonly string[] {
  const options = `!all,type,mode,uid,gid,size,link,sha256,device,time${moreFields}`;
  return run('bsdtar', '-cf', '-', '--format=mtree', `--options=${options}`, ...args)
    .split('\n')
    .filter((line) => line.startsWith('./'))
    .toSorted();
}

/** Runs a program in UTC and returns its output. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8' },
  });
}

/** Returns the SHA-256 of a file in hexadecimal. */
export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
