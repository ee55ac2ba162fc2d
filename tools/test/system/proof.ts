import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './lkt.ts';

/**
 * Runs a proof that takes long, unless it has been made for the same inputs: then its result is read back.
 *
 * The inputs are the paths of the checkout, by content: without any, everything that can change what a build gives.
 */
export async function proven(
  name: string,
  prove: () => Promise<string>,
  paths: readonly string[] = BUILD,
): Promise<string> {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const dir = join(XDG_CACHE_HOME, 'lkt-proofs');
  const path = join(dir, `${name}-${inputs(paths)}`);
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not proven yet.
  }
  const result = await prove();
  mkdirSync(dir, { recursive: true });
  writeFileSync(path, result);
  return result;
}

const BUILD = [
  'lkt',
  'package-lock.json',
  ':(glob)packages/*/src/**',
  'tools',
  'kernel',
  'pkg',
  'examples',
];

function inputs(paths: readonly string[]): string {
  const names = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...paths],
    { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 },
  ).split('\0');
  const hash = createHash('sha256').update(process.version);
  for (const name of names
    .filter((item) => item !== '' && !item.startsWith('tools/test/'))
    .toSorted()) {
    hash.update(`${name}\0`);
    try {
      hash.update(readFileSync(join(root, name)));
    } catch {
      try {
        hash.update(readlinkSync(join(root, name)));
      } catch {
        // Deleted, but still in git's index: its name alone counts.
      }
    }
    hash.update('\0');
  }
  return hash.digest('hex').slice(0, 32);
}
