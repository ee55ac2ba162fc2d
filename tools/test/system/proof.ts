import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root } from './lkt.ts';

/**
 * Runs a proof that takes long, unless it has been made for the same inputs: then its result is read back.
 *
 * The inputs are everything in the checkout that can change what a build gives, by content.
 */
export async function proven(name: string, prove: () => Promise<string>): Promise<string> {
  const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
  const dir = join(XDG_CACHE_HOME, 'lkt-proofs');
  const path = join(dir, `${name}-${inputs()}`);
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

function inputs(): string {
  const names = execFileSync(
    'git',
    [
      'ls-files',
      '-z',
      '--cached',
      '--others',
      '--exclude-standard',
      '--',
      'lkt',
      'package-lock.json',
      ':(glob)packages/*/src/**',
      'tools',
      'kernel',
      'pkg',
      'examples',
    ],
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
