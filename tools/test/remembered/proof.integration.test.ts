import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { isChosen, remember, rememberedInTurn } from '@lkt/testing/remembered';
import { type EachOptions, provenEach } from '../system/helpers/proof.ts';

const DIRECTORIES = ['pkg/fstrim', 'pkg/losetup', 'pkg/poweroff', 'pkg/sysctl'];
/** Files that stand for versions of the code that builds. */
const VERSIONS = [
  'LICENSE',
  'SECURITY.md',
  'README.md',
  'nx.json',
  'tsconfig.json',
  'lkt',
  'package.json',
  'docs/errors.md',
];

const dir = mkdtempSync(join(tmpdir(), 'lkt-proof-'));
afterAll(() => rmSync(dir, { recursive: true }));

let count = 0;
beforeEach(() => {
  vi.stubEnv('XDG_CACHE_HOME', join(dir, String((count += 1))));
});

/** Returns the directories whose test was run. */
async function run(options: EachOptions): Promise<readonly string[]> {
  let ran: readonly string[] = [];
  const prove: Parameters<typeof provenEach>[2] = async (missing, isProven) => {
    ran = missing.map(({ directory }) => directory);
    for (const directory of ran) isProven(directory, `proof of ${directory}`);
  };
  const results = await provenEach('name', DIRECTORIES, prove, options);
  const proofs = DIRECTORIES.map((directory) => [directory, `proof of ${directory}`] as const);
  if (options.most === undefined) expect(results).toEqual(new Map(proofs));
  else expect(proofs).toEqual(expect.arrayContaining([...results]));
  return ran;
}

test('repeats a test per package when the code has changed', async () => {
  expect(await run({ code: ['README.md'] })).toEqual(DIRECTORIES);
  expect(await run({ code: ['README.md'] })).toEqual([]);
  expect(await run({ code: ['LICENSE'] })).toEqual(DIRECTORIES);
});

test('repeats it for the one package whose further input has changed', async () => {
  const inputs = new Map([['lkt/poweroff', 'a digest']]);
  expect(await run({ code: ['README.md'], inputs })).toEqual(DIRECTORIES);
  expect(await run({ code: ['README.md'], inputs })).toEqual([]);
  inputs.set('lkt/poweroff', 'another digest');
  expect(await run({ code: ['README.md'], inputs })).toEqual(['pkg/poweroff']);
});

test('with a tester, other code repeats it for some packages, always the same ones', async () => {
  const tester = ['docs/style.md'];
  expect(await run({ code: ['docs/cli.md'], tester })).toEqual(DIRECTORIES);
  let chosen: readonly string[] = [];
  const fails: Parameters<typeof provenEach>[2] = async (missing) => {
    chosen = missing.map(({ directory }) => directory);
  };
  const isPartOf = (all: readonly string[]): boolean =>
    chosen.length > 0 && chosen.length < all.length;
  // A version may choose none or all of so few.
  for (const version of VERSIONS) {
    chosen = [];
    await provenEach('name', DIRECTORIES, fails, { code: [version], tester });
    // Nothing is remembered of a test that failed.
    expect(await run({ code: [version], tester })).toEqual(chosen);
    expect(await run({ code: [version], tester })).toEqual([]);
    if (isPartOf(DIRECTORIES)) break;
  }
  expect(isPartOf(DIRECTORIES)).toBe(true);
  expect(await run({ code: ['docs/guest.md'], tester: ['docs/guest.md'] })).toEqual(DIRECTORIES);
});

test('tests at most so many packages in one run, and the others in the next', async () => {
  const options = { code: ['README.md'], most: 1 };
  const [first, second, third] = [
    await run(options),
    await run(options),
    await run({ ...options, most: DIRECTORIES.length }),
  ];
  expect([first.length, second.length]).toEqual([1, 1]);
  expect([...first, ...second, ...third].toSorted()).toEqual(DIRECTORIES);
  vi.stubEnv('LKT_TEST_ANEW', 'yes');
  expect(await run(options)).toEqual(DIRECTORIES);
});

test('chooses one in four', () => {
  const hashes = Array.from({ length: 2000 }, (_, index) =>
    createHash('sha256').update(String(index)).digest('hex'),
  );
  const chosen = hashes.filter((hash) => isChosen(hash)).length;
  expect(chosen).toBeGreaterThan(400);
  expect(chosen).toBeLessThan(600);
});

test('a change of some inputs repeats a test in turn, of others always', () => {
  remember('rest-a', 'passed');
  const [chosen, other] = ['4'.repeat(32), '5'.repeat(32)];
  expect(rememberedInTurn(`tests-${other}`, 'rest-a')).toBe('passed');
  expect(rememberedInTurn(`tests-${chosen}`, 'rest-a')).toBeUndefined();
  expect(rememberedInTurn(`tests-${other}`, 'rest-b')).toBeUndefined();
  expect(rememberedInTurn(`tests-${other}`)).toBeUndefined();
  remember(`tests-${chosen}`, 'passed');
  expect(rememberedInTurn(`tests-${chosen}`, 'rest-b')).toBe('passed');
});

test('repeats all that has passed if the results are not to be used', async () => {
  expect(await run({ code: ['README.md'] })).toEqual(DIRECTORIES);
  vi.stubEnv('LKT_TEST_ANEW', 'yes');
  expect(await run({ code: ['README.md'] })).toEqual(DIRECTORIES);
});
