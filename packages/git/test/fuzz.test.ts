import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { test } from 'vitest';
import { readIndex } from '../src/index-file.ts';
import { parseCommit, parseTree } from '../src/objects.ts';
import { git, temporary } from './checkout.ts';

function entry(mode: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.alloc(20, 7)]);
}

test('parseTree only rejects with an LktError', async () => {
  const tree = Buffer.concat([entry('100644', 'a'), entry('40000', 'b'), entry('120000', 'c')]);
  await fuzz(
    [tree],
    (input) => [...parseTree('ab'.repeat(20), input)],
    (error) => error instanceof LktError,
  );
});

test('parseCommit never fails', async () => {
  const id = 'ab'.repeat(20);
  const commit = `tree ${id}\nparent ${id}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0100\n\nx\n`;
  await fuzz([Buffer.from(commit)], parseCommit, () => false);
});

test('readIndex never reads beyond the file', async () => {
  await using directory = await temporary();
  const { path } = directory;
  git(path, 'init', '-q');
  writeFileSync(join(path, 'a'), 'a');
  writeFileSync(join(path, 'b'), 'b');
  git(path, 'add', '.');
  const file = join(path, 'index');
  await fuzz(
    [readFileSync(join(path, '.git/index'))],
    (input) => {
      writeFileSync(file, input);
      readIndex(file, () => true);
    },
    // `readWorkTree` asks git then, which reports it better.
    (error) => error instanceof RangeError,
  );
});
