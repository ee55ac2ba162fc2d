import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Of what is empty, as other names of a file are in some archives. */
const EMPTY = createHash('sha256').digest('hex');

/** What libarchive sees in an archive or an ISO image: a sorted mtree listing with digests of contents. */
export function listing(archive: string): readonly string[] {
  const options = '!all,type,mode,uid,gid,size,link,sha256,device,time';
  return run('bsdtar', '-cf', '-', '--format=mtree', `--options=${options}`, `@${archive}`)
    .split('\n')
    .filter((line) => line.startsWith('./'))
    .map((line) => line.replace(` sha256digest=${EMPTY}`, ''))
    .toSorted();
}

/** What libarchive sees in a directory, but for the directory itself. */
export function directoryListing(dir: string): readonly string[] {
  const options = '!all,type,mode,uid,gid,size,link,sha256,device,time,nlink';
  return run('bsdtar', '-cf', '-', '--format=mtree', `--options=${options}`, '-C', dir, '.')
    .split('\n')
    .filter((line) => line.startsWith('./'))
    .toSorted();
}

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
