import { expect, test } from 'vitest';
import { knownInput } from '../../src/compression/deflate-check.ts';
import { unzstd, zstd } from '../../src/index.ts';
import { chunks, collect, failure, run } from '../support.ts';

/** Words, noise and zeros; longer than every window and buffer. */
const DATA = Buffer.concat([
  knownInput(),
  Buffer.alloc(300_000),
  knownInput().toReversed(),
  knownInput(),
]);

test.each([1, 1000, 10_000_000])(
  'unzstd reads many frames and skips skippable ones in chunks of %i bytes',
  async (size) => {
    const input = DATA.subarray(0, size === 1 ? 2000 : DATA.length);
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const frames = Buffer.concat([
      skippable,
      run('zstd', ['-c'], { input }),
      run('zstd', ['-c', '-19', '--long=27', '--no-check'], { input }),
      skippable,
      run('zstd', ['-c', '--content-size', `--stream-size=${input.length}`], { input }),
    ]);
    expect(
      (await collect(unzstd(chunks(frames, size)))).equals(Buffer.concat([input, input, input])),
    ).toBe(true);
  },
);

test('zstd(1) reads our zstd, whose bytes do not depend on the chunking', async () => {
  const packed = await collect(zstd(chunks(DATA, 1000)));
  expect(run('zstd', ['-dc'], { input: packed }).equals(DATA)).toBe(true);
  expect((await collect(zstd(chunks(DATA, 99_999)))).equals(packed)).toBe(true);
});

test.each<[string, (frame: Buffer) => Buffer]>([
  ['no data', () => Buffer.alloc(0)],
  ['text', () => Buffer.from('hello')],
  ['truncated data', (frame) => frame.subarray(0, -1)],
  [
    'truncation in the magic number of the next frame',
    (frame) => Buffer.concat([frame, frame.subarray(0, 2)]),
  ],
  ['a wrong checksum', (frame) => Buffer.from(frame).fill(0, frame.length - 4)],
  ['trailing junk', (frame) => Buffer.concat([frame, Buffer.from('junk')])],
  ['a reserved block type', (frame) => Buffer.from(frame).fill(0xff, 6, 7)],
  [
    'a window of 2 GiB',
    () => run('zstd', ['-c', '--long=31', '-1'], { input: Buffer.alloc(10) }).fill(0xa8, 5, 6),
  ],
])('unzstd rejects %s', async (_name, damage) => {
  const data = damage(run('zstd', ['-c', '--no-content-size'], { input: 'hello hello hello' }));
  for (const size of [1, 10_000])
    await failure('ARCHIVE_INVALID', collect(unzstd(chunks(data, size))));
});
