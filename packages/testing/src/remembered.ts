import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { homedir, release } from 'node:os';
import { join } from 'node:path';

/**
 * Returns a stored test result. Keys contain a hash of the test's inputs; results are in the user's
 * cache. `npm test -- --all` sets LKT_TEST_ANEW, with which nothing is remembered.
 */
export function remembered(key: string): string | undefined {
  if (process.env['LKT_TEST_ANEW'] === 'yes') return undefined;
  try {
    return readFileSync(join(proofs(), key), 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Returns a stored test result that a change of some of the inputs repeats in turn: one in four
 * times.
 *
 * @param whole - key of all inputs
 * @param rest - key of the other inputs; without it, each change repeats the test
 */
export function rememberedInTurn(whole: string, rest?: string): string | undefined {
  const known = remembered(whole);
  if (known !== undefined || rest === undefined || isChosen(whole.slice(-32))) return known;
  return remembered(rest);
}

/** Chooses one hash in four. */
export function isChosen(hash: string): boolean {
  return Number.parseInt(hash.slice(0, 8), 16) % 4 === 0;
}

/** Stores the result of a proof under its key, for later runs. */
export function remember(key: string, result: string): void {
  mkdirSync(proofs(), { recursive: true });
  writeFileSync(join(proofs(), key), result);
}

/** Returns the directory of the results. */
export function proofs(): string {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  return join(XDG_CACHE_HOME, 'lkt-proofs');
}

/**
 * Returns the files of a checkout that match git patterns, including uncommitted ones, without
 * ignored ones.
 */
export function filesOf(root: string, patterns: readonly string[]): readonly string[] {
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--'];
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  const names = execFileSync('git', [...list, ...patterns], options).split('\0');
  return names.filter((name) => name !== '').toSorted();
}

/** Returns a hash of Node's version and of files, by name and contents. */
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
      // A link to a directory has no content, nor has a deleted file in git's index: its name
      // counts.
    }
  }
}

/** Returns the versions of the kernel and of the programs that the tests run as peers. */
export function peerVersions(): string {
  const list = join(import.meta.dirname, '../../../tools/test/apt-packages.txt');
  const names = readFileSync(list, 'utf8')
    .replaceAll(/#.*/g, '')
    .split(/\s+/)
    .filter((name) => name !== '');
  // The package of dockerd brings containerd.
  const query = ['-W', ...names, 'containerd'];
  const { stdout } = spawnSync('dpkg-query', query, { encoding: 'utf8' });
  return `${release()}\n${stdout}`;
}
