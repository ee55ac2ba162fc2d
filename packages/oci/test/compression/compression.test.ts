import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { digestOf, LktError } from '@lkt/core';
import { expect, test, vi } from 'vitest';
import { knownInput } from '../../src/compression/deflate-check.ts';
import {
  type Descriptor,
  decompressLayer,
  gunzip,
  gzip,
  MediaType,
  unzstd,
  zstd,
} from '../../src/index.ts';
import { chunks, collect, failure, run } from '../support.ts';

/** Words, noise and zeros; longer than every window and buffer. */
const DATA = Buffer.concat([
  knownInput(),
  Buffer.alloc(300_000),
  knownInput().toReversed(),
  knownInput(),
]);

const GOLDEN = 'sha256:085016f3f9f25114c92788925390ee0b94df50ef1681630016c7d4d6177cc83e';

test.each([1000, 65_536, 10_000_000])(
  'gzip writes golden bytes for chunks of %i bytes',
  async (size) => {
    const packed = await collect(gzip(chunks(DATA, size)));
    expect(digestOf(packed)).toBe(GOLDEN);
    // RFC 1952, 2.3: no name, no time, no system.
    expect(packed.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
    expect(run('gzip', ['-dc'], { input: packed }).equals(DATA)).toBe(true);
  },
);

test('gzip writes the same bytes on a Node with another zlib', async () => {
  vi.resetModules();
  vi.doMock('../../src/deflate-check.ts', () => ({ isKnownZlib: () => false }));
  const portable = await import('../../src/compression/compression.ts');
  vi.doUnmock('../../src/deflate-check.ts');
  for (const size of [7777, 10_000_000])
    expect(digestOf(await collect(portable.gzip(chunks(DATA, size))))).toBe(GOLDEN);
});

test('the known answer distinguishes versions of zlib', async () => {
  const { passesKnownAnswer, isPinnedZlib, isKnownZlib } =
    await import('../../src/compression/deflate-check.ts');
  expect([isKnownZlib(), isPinnedZlib(), passesKnownAnswer()]).toEqual([true, true, true]);
  const { deflateRaw } = await import('pako');
  const input = knownInput();
  const known = deflateRawSync(input, { level: 4 });
  expect(known.equals(deflateRaw(input, { level: 4 }))).toBe(true);
  // The output of a Node linked with Debian's zlib.
  expect(known.equals(deflateRaw(input, { level: 4, legacyHash: true }))).toBe(false);
});

test('gzip and zstd handle an empty source', async () => {
  expect(await collect(gunzip(gzip(chunks(''))))).toEqual(Buffer.alloc(0));
  expect(await collect(unzstd(zstd(chunks(''))))).toEqual(Buffer.alloc(0));
});

test.each([1, 9, 1000, 10_000_000])(
  'gunzip reads several members and zero padding in chunks of %i bytes',
  async (size) => {
    const small = Buffer.from('small');
    const two = Buffer.concat([gzipSync(small), gzipSync(small), Buffer.alloc(100)]);
    expect((await collect(gunzip(chunks(two, size)))).toString()).toBe('smallsmall');
  },
);

test.each<[string, Buffer]>([
  ['no data', Buffer.alloc(0)],
  ['text', Buffer.from('hello')],
  ['truncated data', gzipSync('hello').subarray(0, -1)],
  ['a wrong checksum', gzipSync('hello').fill(0, 17, 21)],
  ['trailing junk', Buffer.concat([gzipSync('hello'), Buffer.from('junk')])],
  [
    'a truncated second member',
    Buffer.concat([gzipSync('hello'), gzipSync('hello').subarray(0, 12)]),
  ],
])('gunzip rejects %s', async (_name, data) => {
  for (const size of [1, 10_000])
    await failure('ARCHIVE_INVALID', collect(gunzip(chunks(data, size))));
});

test('decompression stops a bomb at the limit', async () => {
  const zeros = Buffer.alloc(5_000_000);
  for (const unpack of [
    gunzip(chunks(gzipSync(zeros)), { maxBytes: 1_000_000 }),
    unzstd(zstd(chunks(zeros)), { maxBytes: 1_000_000 }),
  ]) {
    let size = 0;
    const error = await failure(
      'ARCHIVE_INVALID',
      (async () => {
        for await (const part of unpack) size += part.length;
      })(),
    );
    expect(error.message).toMatch(/unpacks to more than 1000000 bytes$/);
    expect(size).toBeLessThanOrEqual(1_000_000);
  }
});

test('decompression forwards an error of the source at its start, middle and end', async () => {
  const problem = new Error('line is down');
  async function* failing(data: Uint8Array): AsyncGenerator<Uint8Array> {
    yield* chunks(data, 1000);
    throw problem;
  }
  for (const data of [
    Buffer.alloc(0),
    gzipSync('hello').subarray(0, 12),
    gzipSync('hello'),
    Buffer.concat([gzipSync('hello'), Buffer.alloc(100_000)]),
  ])
    await expect(collect(gunzip(failing(data)))).rejects.toBe(problem);
  await expect(collect(gzip(failing(DATA)))).rejects.toBe(problem);
  await expect(collect(unzstd(failing(await collect(zstd(chunks('hello'))))))).rejects.toBe(
    problem,
  );
});

test('decompression forwards an error of the source after the compressed data', async () => {
  const problem = new Error('line is down');
  async function* late(): AsyncGenerator<Uint8Array> {
    yield Buffer.concat([gzipSync('hello'), Buffer.alloc(100)]);
    await sleep(30);
    throw problem;
  }
  await expect(collect(gunzip(late()))).rejects.toBe(problem);
});

test('stopping the reader stops the source', async () => {
  for (const use of [gzip, zstd]) {
    let isClosed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield randomBytes(100_000);
      } finally {
        isClosed = true;
      }
    }
    let count = 0;
    for await (const part of use(endless())) {
      count += part.length;
      if (count > 100_000) break;
    }
    expect(isClosed).toBe(true);
  }
});

const layer = (mediaType: string): Descriptor => ({ mediaType, digest: digestOf(''), size: 0 });

test('decompressLayer selects by media type', async () => {
  const packed = await collect(gzip(chunks('tar')));
  for (const type of [
    MediaType.layerGzip,
    MediaType.dockerLayerGzip,
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ])
    expect((await collect(decompressLayer(layer(type), chunks(packed)))).toString()).toBe('tar');
  for (const type of [MediaType.layerTar, MediaType.dockerLayerTar])
    expect((await collect(decompressLayer(layer(type), chunks('tar')))).toString()).toBe('tar');
  expect(
    (await collect(decompressLayer(layer(MediaType.layerZstd), zstd(chunks('tar'))))).toString(),
  ).toBe('tar');
  expect(() => decompressLayer(layer('application/vnd.in-toto+json'), chunks(''))).toThrow(
    LktError,
  );
});
