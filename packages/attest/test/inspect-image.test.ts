import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { digestHex } from '@lkt/core';
import type { EntryWithContent, Image, Store } from '@lkt/oci';
import { expect, test } from 'vitest';
import { type Inspection, inspectImage } from '../src/inspect-image.ts';
import { file, image, withStore } from './support.ts';

const STATUS = 'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n';

/** Inspects the upper layer of an image; `prepare` is called with the store before. */
async function inspectUpper(
  lower: () => readonly EntryWithContent[],
  upper: readonly EntryWithContent[],
  prepare: (store: Store, of: Image) => void = () => undefined,
): Promise<Inspection> {
  let found: Inspection | undefined;
  await withStore(async (store) => {
    const base = await image(store, lower());
    const made = await image(store, lower(), upper);
    prepare(store, made);
    found = await inspectImage(
      store,
      made,
      { image: base, isDescribed: true },
      { parseCopyright: (license) => ({ license }) },
    );
  });
  if (found === undefined) throw new Error('not inspected');
  return found;
}

const paths = ({ files }: Inspection): readonly string[] => files.map(({ path }) => path);

function removeLower(store: Store, { manifest: { layers } }: Image): void {
  const [lower] = layers;
  if (lower !== undefined) rmSync(join(store.dir, 'blobs/sha256', digestHex(lower.digest)));
}

test('does not read lower layers for plain files', async () => {
  const upper = file('etc/own', 'own');
  expect(paths(await inspectUpper(() => [file('a', 'a')], [upper], removeLower))).toEqual([
    'etc/own',
  ]);
  const linked = [{ ...file('b', ''), type: 'hardlink' as const, link: 'a' }];
  await expect(inspectUpper(() => [file('a', 'a')], linked, removeLower)).rejects.toThrow('not in');
});

test('leaves out a hard link to a file of a lower layer', async () => {
  const link = { ...file('b', ''), type: 'hardlink' as const, link: 'a' };
  expect(paths(await inspectUpper(() => [file('a', 'a')], [link, file('own', 'own')]))).toEqual([
    'own',
  ]);
});

test('finds the licence of an installed package in a lower layer', async () => {
  const { installed } = await inspectUpper(
    () => [file('usr/share/doc/libc6/copyright', 'LGPL-2.1')],
    [file('var/lib/dpkg/status', STATUS)],
  );
  expect(installed.map(({ name, license }) => [name, license])).toEqual([['libc6', 'LGPL-2.1']]);
});
