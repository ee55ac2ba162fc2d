import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Disk, inMemory } from '../src/bytes/disk.ts';
import { isZeroChunk } from '../src/bytes/headed-bytes.ts';
import { gptDisk } from '../src/partitions/partitions.ts';
import { qcow2Bytes } from '../src/qcow2/qcow2.ts';
import { sparseTar } from '../src/sparse-tar/sparse-tar.ts';
import { dynamicVhdBytes, vhdBytes } from '../src/vhd/vhd.ts';
import { vmdkBytes } from '../src/vmdk/vmdk.ts';
import { tempDir } from './support.ts';

const GIB = 2 ** 30;

/** Returns a disk with data at its start and end. */
function diskOf(size: number): Disk {
  const start = { offset: 0, ...inMemory(Buffer.alloc(512, 1)) };
  const end = { offset: size - 4096, ...inMemory(Buffer.alloc(4096, 2)) };
  return { size, extents: [start, end] };
}

/** Writes a stream as a sparse file. */
async function save(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const path = join(tempDir(), 'disk');
  const fd = openSync(path, 'w');
  let at = 0;
  for await (const chunk of bytes) {
    if (!isZeroChunk(chunk)) writeSync(fd, chunk, 0, chunk.length, at);
    at += chunk.length;
  }
  ftruncateSync(fd, at);
  closeSync(fd);
  return path;
}

/** Writes the extents of a disk, which is faster than streaming its zeros. */
async function saveRaw({ size, extents }: Disk): Promise<string> {
  const path = join(tempDir(), 'raw');
  const fd = openSync(path, 'w');
  for (const extent of extents)
    for await (const chunk of extent.bytes()) writeSync(fd, chunk, 0, chunk.length, extent.offset);
  ftruncateSync(fd, size);
  closeSync(fd);
  return path;
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8' });
}

it.for([8, 63, 64, 512])(
  'GNU tar and libarchive unpack a disk of %s GiB from a sparse archive',
  async (size) => {
    const tar = await save(sparseTar(diskOf(size * GIB), 'disk.raw'));
    expect(run('tar', '--list', '--verbose', '--file', tar)).toContain(` ${size * GIB} `);
    expect(run('bsdtar', '-tvf', tar)).toContain(` ${size * GIB} `);
    const out = tempDir();
    run('tar', '--extract', '--sparse', '--file', tar, '--directory', out);
    expect(run('tail', '--bytes=4097', join(out, 'disk.raw'))).toBe(`\0${'\x02'.repeat(4096)}`);
  },
);

it.for([
  ['qcow2', 600, (disk: Disk) => qcow2Bytes(disk)],
  ['vmdk', 33, (disk: Disk) => vmdkBytes(disk, 'disk', 1)],
  ['vpc', 2040, (disk: Disk) => dynamicVhdBytes(disk, 'x')],
] as const)('qemu-img reads %s of %s GiB', async ([format, size, bytes]) => {
  const disk = diskOf(size * GIB);
  const [image, raw] = [await save(bytes(disk)), await saveRaw(disk)];
  expect(run('qemu-img', 'compare', '-f', format, '-F', 'raw', image, raw)).toContain(
    'Images are identical.',
  );
});

it('sgdisk finds no problem in a disk of 2 TiB', async () => {
  const ids = {
    diskId: '11111111-2222-8333-8444-555555555555',
    partitionId: '11111111-2222-8333-8444-666666666666',
  };
  const path = await saveRaw(gptDisk(diskOf(2 ** 20), ids, 2048 * GIB));
  expect(run('sgdisk', '--verify', path)).toContain('No problems found.');
});

it.for([vhdBytes, dynamicVhdBytes])('rejects a VHD of more than 2040 GiB', async (bytes) => {
  const stream = bytes(diskOf(2040 * GIB + 512), 'x');
  await expect(stream.next().then(() => 'written')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});
