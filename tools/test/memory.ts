import { execFileSync } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What was proven for certain inputs, kept in the user's cache by a name that has their hash. */
export function remembered(key: string): string | undefined {
  try {
    return readFileSync(join(directory(), key), 'utf8');
  } catch {
    return undefined;
  }
}

export function remember(key: string, result: string): void {
  mkdirSync(directory(), { recursive: true });
  writeFileSync(join(directory(), key), result);
}

function directory(): string {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  return join(XDG_CACHE_HOME, 'lkt-proofs');
}

/** The files of a checkout that match patterns of git, those too that are not committed, but not those that are ignored. */
export function filesOf(root: string, patterns: readonly string[]): readonly string[] {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--'];
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  const names = execFileSync('git', [...list, ...patterns], options).split('\0');
  return names.filter((name) => name !== '').toSorted();
}

/** Of the version of Node, and of files with their names and contents. */
export function hashOf(root: string, files: readonly string[]): string {
  const hash = createHash('sha256').update(process.version);
  for (const name of files) {
    hash.update(`${name}\0`);
    addContent(hash, join(root, name));
    hash.update('\0');
  }
  return hash.digest('hex').slice(0, 32);
}

function addContent(hash: Hash, path: string): void {
  for (const read of [() => readFileSync(path), () => readlinkSync(path)]) {
    try {
      hash.update(read());
      return;
    } catch {
      // A link to a directory has no content; what is deleted, but still in git's index, counts by its name.
    }
  }
}
