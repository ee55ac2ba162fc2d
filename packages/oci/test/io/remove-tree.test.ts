import { chdir, cwd } from 'node:process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { removeTree } from '../../src/io/temp.ts';

const directory = mkdtempSync(join(tmpdir(), 'lkt-remove-'));
const at = (name: string): string => join(directory, name);

afterAll(() => rmSync(directory, { recursive: true }));

test('removes directories nested beyond PATH_MAX', async () => {
  const before = cwd();
  mkdirSync(at('deep'));
  chdir(at('deep'));
  const name = 'd'.repeat(200);
  for (let depth = 0; depth < 40; depth += 1) {
    mkdirSync(name);
    chdir(name);
  }
  chdir(before);
  await removeTree(at('deep'));
  expect(existsSync(at('deep'))).toBe(false);
});

test('removes links and not what they lead to', async () => {
  mkdirSync(at('kept'));
  writeFileSync(at('kept/file'), '');
  mkdirSync(at('tree'));
  symlinkSync(at('kept'), at('tree/link'));
  symlinkSync(at('kept'), at('link'));
  await removeTree(at('tree'));
  await removeTree(at('link'));
  expect([existsSync(at('tree')), existsSync(at('link'))]).toEqual([false, false]);
  expect(existsSync(at('kept/file'))).toBe(true);
});

test('removes a file, and nothing where there is nothing', async () => {
  writeFileSync(at('file'), '');
  await removeTree(at('file'));
  await removeTree(at('file'));
  expect(existsSync(at('file'))).toBe(false);
});

test('removes directories whose names are not UTF-8', async () => {
  const child = Buffer.concat([Buffer.from(at('odd/')), Buffer.from([0xff])]);
  mkdirSync(at('odd'));
  mkdirSync(child);
  writeFileSync(Buffer.concat([child, Buffer.from('/file')]), '');
  await removeTree(at('odd'));
  expect(existsSync(at('odd'))).toBe(false);
});

test('ends when something else removes the tree meanwhile', async () => {
  for (const name of ['a', 'b', 'c']) mkdirSync(at(`shared/${name}`), { recursive: true });
  const removal = removeTree(at('shared'));
  rmSync(at('shared'), { recursive: true });
  await removal;
  expect(existsSync(at('shared'))).toBe(false);
});
