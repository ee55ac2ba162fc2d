import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { zstdBlocks, zstdFrameHeader, zstdRawBlocks } from '../../src/index.ts';
import { chunks, collect, failure, run } from '../support.ts';

const KIB = 1024;
const MIB = 2 ** 20;

describe('zstdBlocks', () => {
  it.each([
    ['one byte', Buffer.from('x')],
    ['a byte more than a block', Buffer.alloc(128 * KIB + 1, 'words, ')],
    ['zeros, which are blocks of one byte', Buffer.alloc(3 * MIB)],
    ['noise, which is not compressed', randomBytes(300 * KIB)],
    ['both', Buffer.concat([randomBytes(MIB), Buffer.alloc(5 * MIB, 'words, '), randomBytes(MIB)])],
    ['more than is compressed at once', Buffer.alloc(20 * MIB + 1, 'all the words there are, ')],
  ])('yields blocks that fit into a frame between others: %s', async (_, data) => {
    const { blocks, windowLog } = await blocksOf(data);
    const frame = frameOf(windowLog, 'a header\n', blocks, 'a trailer');
    const unpacked = run('zstd', ['-dc', '--memory=8MB'], { input: frame });
    expect(unpacked.equals(Buffer.concat([bytes('a header\n'), data, bytes('a trailer')]))).toBe(
      true,
    );
  });

  it('yields valid blocks for any data, after any blocks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 2000 }),
        fc.nat(200),
        fc.uint8Array({ maxLength: 3000 }),
        fc.constantFrom(1, 3, 19),
        async (piece, times, before, level) => {
          const data = Buffer.concat(Array.from({ length: times + 1 }, () => piece));
          const { blocks, windowLog } = await blocksOf(data, level);
          const frame = frameOf(windowLog, before, blocks, before);
          const unpacked = run('zstd', ['-dc'], { input: frame });
          expect(unpacked.equals(Buffer.concat([before, data, before]))).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('does not depend on the chunking of the source', async () => {
    const data = Buffer.concat([Buffer.alloc(MIB, 'some words, '), randomBytes(1000)]);
    const first = await blocksOf(data);
    for (const size of [1000, 64 * KIB, 10 * MIB])
      expect(await blocksOf(data, undefined, size)).toEqual(first);
  });

  it('rejects a source of another size', async () => {
    for (const size of [999, 1001, 30 * MIB])
      for (const piece of [100, 5000]) {
        const source = zstdBlocks(chunks(Buffer.alloc(1000), piece), size);
        await failure('ARCHIVE_INVALID', collect(source));
      }
  });
});

describe('zstdRawBlocks', () => {
  it.each([0, 1, 128 * KIB, 128 * KIB + 1, MIB])('holds %i bytes', (size) => {
    const data = randomBytes(size);
    const frame = Buffer.concat([zstdFrameHeader(17), zstdRawBlocks(data, { isLast: true })]);
    expect(run('zstd', ['-dc'], { input: frame }).equals(data)).toBe(true);
  });
});

async function blocksOf(
  data: Buffer,
  level?: number,
  cut = data.length,
): Promise<{ blocks: Buffer; windowLog: number }> {
  const source = zstdBlocks(chunks(data, cut), data.length, level);
  const pieces: Uint8Array[] = [];
  for (;;) {
    const step = await source.next();
    if (step.done === true) return { blocks: Buffer.concat(pieces), windowLog: step.value };
    pieces.push(Uint8Array.from(step.value));
  }
}

function frameOf(
  windowLog: number,
  before: string | Uint8Array,
  blocks: Buffer,
  after: string | Uint8Array,
): Buffer {
  return Buffer.concat([
    zstdFrameHeader(Math.max(17, windowLog)),
    zstdRawBlocks(bytes(before), { isLast: false }),
    blocks,
    zstdRawBlocks(bytes(after), { isLast: true }),
  ]);
}

function bytes(data: string | Uint8Array): Buffer {
  return Buffer.from(data as string);
}
