import {
  existsSync,
  readdirSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CompiledCode } from '../src/bundle/compiled-code.ts';

const temporary = async (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'lkt-code-'));
const code = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (found: Uint8Array | undefined): string | undefined =>
  found === undefined ? undefined : Buffer.from(found).toString();

test('code is kept for the next run of the same program of the same bundle', async () => {
  await using dir = await temporary();
  new CompiledCode(dir.path, 'b1', 'main').write([
    ['a.cjs', code('of a')],
    ['b.cjs', code('of b')],
  ]);
  const next = new CompiledCode(dir.path, 'b1', 'main');
  expect([textOf(next.of('a.cjs')), textOf(next.of('b.cjs'))]).toEqual(['of a', 'of b']);
  expect(next.of('c.cjs')).toBeUndefined();
  expect(new CompiledCode(dir.path, 'b1', 'worker').of('a.cjs')).toBeUndefined();
  expect(new CompiledCode(dir.path, 'b2', 'main').of('a.cjs')).toBeUndefined();
  // What this run has not loaded stays.
  next.write([['b.cjs', code('more of b')]]);
  const last = new CompiledCode(dir.path, 'b1', 'main');
  expect([textOf(last.of('a.cjs')), textOf(last.of('b.cjs'))]).toEqual(['of a', 'more of b']);
  expect(readdirSync(dir.path)).toEqual(['lkt-b1-main']);
});

test('after some runs it is taken for whole', async () => {
  await using dir = await temporary();
  const grew: boolean[] = [];
  for (let run = 0; run < 6; run += 1) {
    const found = new CompiledCode(dir.path, 'b', 'main');
    grew.push(found.mayGrow);
    found.write([['a.cjs', code('of a')]]);
  }
  expect(grew).toEqual([true, true, true, true, true, false]);
});

test.each([
  ['cut short', (path: string) => truncateSync(path, statSync(path).size - 1)],
  ['empty', (path: string) => writeFileSync(path, '')],
  ['something else', (path: string) => writeFileSync(path, 'not of lkt')],
])('a file that is %s is as good as none', async (_, spoil) => {
  await using dir = await temporary();
  new CompiledCode(dir.path, 'b', 'main').write([['a.cjs', code('of a')]]);
  spoil(join(dir.path, 'lkt-b-main'));
  const found = new CompiledCode(dir.path, 'b', 'main');
  expect(found.of('a.cjs')).toBeUndefined();
  expect(found.mayGrow).toBe(true);
});

test('that of old bundles goes, and what cannot be written is no error', async () => {
  await using dir = await temporary();
  for (const [name, days] of [
    ['lkt-b1-main', 8],
    ['lkt-b2-main', 6],
    ['efc6d7ab', 8],
  ] as const) {
    writeFileSync(join(dir.path, name), '');
    const time = Date.now() / 1000 - days * 24 * 3600;
    utimesSync(join(dir.path, name), time, time);
  }
  new CompiledCode(dir.path, 'b3', 'main').write([]);
  expect(readdirSync(dir.path).toSorted()).toEqual(['efc6d7ab', 'lkt-b2-main', 'lkt-b3-main']);
  const missing = join(dir.path, 'missing');
  new CompiledCode(missing, 'b3', 'main').write([]);
  expect(existsSync(missing)).toBe(false);
});
