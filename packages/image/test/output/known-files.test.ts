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
import { SealedFiles } from '@lkt/oci/files';
import { expect, it } from 'vitest';
import { KnownFiles } from '../../src/output/known-files.ts';
import { tempDir } from '../support.ts';

const CONTENT = Buffer.alloc(300_000, 'what an initrd is made of ');
const EXPECTED = { digest: digestOf(CONTENT), size: CONTENT.length };

/** A file with a known digest. */
async function newCase(): Promise<{
  readonly path: string;
  readonly notes: string;
  readonly known: KnownFiles;
  readonly sealed: SealedFiles;
}> {
  const dir = tempDir();
  const [path, notes] = [join(dir, 'initrd.img'), join(dir, 'notes')];
  mkdirSync(notes);
  writeFileSync(path, CONTENT);
  // Times of a file that has just changed are not trusted.
  await sleep(100);
  const sealed = new SealedFiles(dir);
  const known = new KnownFiles(notes, sealed);
  expect(await known.matches(path, EXPECTED)).toBe(true);
  expect(readdirSync(notes)).toHaveLength(1);
  await sleep(100);
  return { path, notes, known, sealed };
}

it('does not read an unchanged file again, and sets its times to now', async () => {
  const { path, notes, known, sealed } = await newCase();
  // A wrong record shows that the file is not read.
  const note = join(notes, readdirSync(notes)[0] ?? '');
  const other = { ...EXPECTED, digest: digestOf('something else') };
  expect(await known.matches(path, other)).toBe(false);
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  const record = [other.digest, dev, ino, size, mtimeNs, ctimeNs].join(' ');
  writeFileSync(note, new SealedFiles(tempDir(), () => 'another key').seal(note, record));
  expect(await known.matches(path, other)).toBe(false);
  writeFileSync(note, sealed.seal(note, record));
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
  const dir = tempDir();
  const nowhere = new KnownFiles(join(dir, 'nowhere'), new SealedFiles(dir));
  expect(await nowhere.matches(path, EXPECTED)).toBe(true);
  await sleep(100);
  expect(await nowhere.matches(path, EXPECTED)).toBe(true);
});
