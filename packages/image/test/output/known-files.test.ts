import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '@lkt/core';
import { expect, it } from 'vitest';
import { KnownFiles } from '../../src/output/known-files.ts';
import { tempDir } from '../support.ts';

const CONTENT = Buffer.alloc(300_000, 'what an initrd is made of ');
const EXPECTED = { digest: digestOf(CONTENT), size: CONTENT.length };

/** A file with a known digest. */
async function newCase(): Promise<{ path: string; notes: string; known: KnownFiles }> {
  const dir = tempDir();
  const [path, notes] = [join(dir, 'initrd.img'), join(dir, 'notes')];
  mkdirSync(notes);
  writeFileSync(path, CONTENT);
  // Times of a file that has just changed are not trusted.
  await sleep(100);
  const known = new KnownFiles(notes);
  expect(await known.matches(path, EXPECTED)).toBe(true);
  expect(readdirSync(notes)).toHaveLength(1);
  await sleep(100);
  return { path, notes, known };
}

it('does not read an unchanged file again, and sets its times to now', async () => {
  const { path, notes, known } = await newCase();
  // A wrong record shows that the file is not read.
  const [note = ''] = readdirSync(notes);
  const other = { ...EXPECTED, digest: digestOf('something else') };
  expect(await known.matches(path, other)).toBe(false);
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  writeFileSync(join(notes, note), [other.digest, dev, ino, size, mtimeNs, ctimeNs].join(' '));
  expect(await known.matches(path, other)).toBe(true);
  expect(statSync(path, { bigint: true }).mtimeNs).toBeGreaterThan(mtimeNs);
  // The next time too.
  await sleep(100);
  expect(await known.matches(path, other)).toBe(true);
});

it.each<[string, (path: string) => void]>([
  [
    'in place, with its old time',
    (path) => {
      const { atime, mtime } = statSync(path);
      const changed = Buffer.from(CONTENT);
      changed[1000] = 0;
      writeFileSync(path, changed);
      utimesSync(path, atime, mtime);
    },
  ],
  [
    'by another file with its time',
    (path) => {
      const { atime, mtime } = statSync(path);
      writeFileSync(`${path}.new`, Buffer.alloc(CONTENT.length));
      utimesSync(`${path}.new`, atime, mtime);
      renameSync(`${path}.new`, path);
    },
  ],
  ['by more at its end', (path) => appendFileSync(path, 'more')],
])('finds the new digest of a file changed %s', async (_, change) => {
  const { path, known } = await newCase();
  change(path);
  expect(await known.matches(path, EXPECTED)).toBe(false);
});

it('reads a file each time if nothing can be recorded', async () => {
  const { path } = await newCase();
  const nowhere = new KnownFiles(join(tempDir(), 'nowhere'));
  expect(await nowhere.matches(path, EXPECTED)).toBe(true);
  await sleep(100);
  expect(await nowhere.matches(path, EXPECTED)).toBe(true);
});
