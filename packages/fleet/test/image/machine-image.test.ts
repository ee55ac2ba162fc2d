import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, parseReference, type Store } from '@lkt/oci';
import { expect, test } from 'vitest';
import { openMachineImage, writeMachineImage } from '../../src/image/machine-image.ts';

const name = parseReference('example.com/web:1');

/** An empty store, and outputs of a build. */
async function build(parts: readonly string[]): Promise<AsyncDisposable & Build> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const prefix = join(dir.path, 'web');
  for (const part of parts) await writeFile(`${prefix}${part}`, `bytes of ${part}`);
  const store = await openStore(join(dir.path, 'store'));
  const images = join(dir.path, 'images');
  return { store, prefix, images, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() };
}

interface Build {
  readonly store: Store;
  readonly prefix: string;
  readonly images: string;
}

test('opens the files that it writes, without a disk', async () => {
  await using built = await build(['-kernel', '-initrd.img', '-cmdline', '-efi.img']);
  const { digest } = await writeMachineImage(built.store, built.prefix, name);
  const { files, disk } = await openMachineImage(built.store, digest, built.images);
  expect(disk).toBeUndefined();
  if ('kind' in files) throw new Error('a medium');
  expect(await readFile(files.kernel, 'utf8')).toBe('bytes of -kernel');
  expect(files.cmdline).toBe('bytes of -cmdline');
});

test.each([
  ['efi', ['-efi.img', '-bios.img']],
  ['bios', ['-bios.img']],
])('adds the disk for %s', async (firmware, disks) => {
  await using built = await build(['-kernel', '-initrd.img', ...disks]);
  const { store, prefix } = built;
  const without = await writeMachineImage(store, prefix, name);
  const { digest } = await writeMachineImage(store, prefix, name, { hasDisk: true });
  expect(digest).not.toBe(without.digest);
  const { disk } = await openMachineImage(store, digest, built.images);
  expect(disk).toMatchObject({ kind: 'disk', format: 'raw', firmware });
  expect(await readFile(disk?.path ?? '', 'utf8')).toBe(`bytes of -${firmware}.img`);
});

test('suggests how to build a disk', async () => {
  await using built = await build(['-kernel', '-initrd.img']);
  const written = writeMachineImage(built.store, built.prefix, name, { hasDisk: true });
  await expect(written).rejects.toMatchObject({
    code: 'NOT_FOUND',
    fix: 'build both: lkt build --format kernel+initrd,raw-efi',
  });
});
