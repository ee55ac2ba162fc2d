import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseCompression, compress } from '../src/compression/compressor.ts';
import { type Compressor, COMPRESSORS } from '../src/compression/compressors.ts';
import { chunks, collect } from './support.ts';

/** Programs that decompress each format. */
const PEERS: Readonly<Record<Compressor, readonly string[]>> = {
  zstd: ['zstd', '-dc'],
  gzip: ['gzip', '-dc'],
  xz: ['xz', '-dc'],
  lz4: ['lz4', '-dc'],
  none: ['cat'],
};

/** Text, numbers, noise and runs: enough to exercise every compressor, and two blocks of lz4. */
function sample(): Buffer {
  let state = 1;
  const noise = Uint8Array.from({ length: 300_000 }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 24;
  });
  const text = Buffer.from(
    Array.from({ length: 60_000 }, (_, index) => `line ${index * 7919} of text\n`).join(''),
  );
  return Buffer.concat([text, noise, Buffer.alloc(7 * 2 ** 20), text.subarray(0, 100_001), noise]);
}

async function packed(compressor: Compressor, data: Buffer, level?: number): Promise<Buffer> {
  return collect(compress(await chooseCompression(compressor, level), chunks(data)));
}

/** Unlike the kernel, programs reject zero bytes after the end. */
function unpackedBy(compressor: Compressor, data: Buffer): Buffer {
  const [command = '', ...args] = PEERS[compressor];
  const input = data.subarray(0, endOf(compressor, data));
  return execFileSync(command, args, { input, maxBuffer: 2 ** 30, stdio: 'pipe' });
}

function endOf(compressor: Compressor, data: Buffer): number {
  if (compressor === 'lz4') {
    let at = 4;
    while (data.readUInt32LE(at) > 0) at += 4 + data.readUInt32LE(at);
    return at;
  }
  // The length in a gzip trailer has zero bytes, and the last block of zstd may have some.
  if (compressor !== 'zstd') return data.length;
  return [0, 1, 2, 3]
    .map((padding) => data.length - padding)
    .find((end) => isWholeFrame(data.subarray(0, end))) as number;
}

function isWholeFrame(data: Buffer): boolean {
  try {
    execFileSync('zstd', ['-tq'], { input: data, stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

describe.for(COMPRESSORS)('%s', (compressor) => {
  it('round-trips through its own program, and ends at a multiple of four', async () => {
    const data = sample();
    const result = await packed(compressor, data);
    expect(result.length % 4).toBe(0);
    if (compressor !== 'none') expect(result.length).toBeLessThan(data.length / 2);
    expect(unpackedBy(compressor, result).subarray(0, data.length).equals(data)).toBe(true);
  });

  it('produces the same bytes for any chunking of the content', async () => {
    const data = sample().subarray(0, 500_000);
    const compression = await chooseCompression(compressor);
    const whole = await collect(compress(compression, chunks(data)));
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < data.length; at += 777) yield data.subarray(at, at + 777);
    };
    expect((await collect(compress(compression, pieces()))).equals(whole)).toBe(true);
  });
});

describe('lz4', () => {
  it('round-trips any content through its own program', async () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.nat(700))
        .map(([unit, times]) =>
          Uint8Array.from(
            { length: unit.length * times },
            (_, index) => unit[index % unit.length] ?? 0,
          ),
        ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        const data = Buffer.concat(pieces);
        const result = await packed('lz4', data);
        expect(unpackedBy('lz4', result).equals(data)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('levels', () => {
  it.for([
    ['zstd', 1, 12],
    ['gzip', 1, 9],
    ['xz', 0, 9],
  ] as const)('of %s change the size and the key', async ([compressor, low, high]) => {
    const data = sample().subarray(0, 700_000);
    const fast = await packed(compressor, data, low);
    const small = await packed(compressor, data, high);
    expect(small.length).not.toBe(fast.length);
    expect(unpackedBy(compressor, fast).equals(data)).toBe(true);
    expect(unpackedBy(compressor, small).equals(data)).toBe(true);
    const keys = await Promise.all(
      [undefined, low, high].map(async (level) => (await chooseCompression(compressor, level)).key),
    );
    expect(new Set(keys).size).toBe(3);
  });

  it.for([
    ['zstd', 3],
    ['gzip', 4],
    ['xz', 6],
  ] as const)('of %s have one key for the default', async ([compressor, level]) => {
    const given = await chooseCompression(compressor, level);
    expect(given).toEqual(await chooseCompression(compressor));
  });

  it.for([
    ['zstd', 20, 'zstd has levels 1 to 19, not 20'],
    ['zstd', 0, 'zstd has levels 1 to 19, not 0'],
    ['gzip', 10, 'gzip has levels 1 to 9, not 10'],
    ['lz4', 1, 'lz4 has no levels'],
    ['none', 1, 'none has no levels'],
  ] as const)('rejects %s %i', async ([compressor, level, message]) => {
    await expect(chooseCompression(compressor, level)).rejects.toMatchObject({
      code: 'USAGE_INVALID',
      message,
    });
  });
});

it('xz ignores its environment variables', async () => {
  const data = sample().subarray(0, 200_000);
  const plain = await packed('xz', data);
  process.env['XZ_OPT'] = '-0 --check=none';
  try {
    expect((await packed('xz', data)).equals(plain)).toBe(true);
  } finally {
    delete process.env['XZ_OPT'];
  }
});

async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(1000);
  await Promise.resolve();
  throw new Error('no more');
}

it('reports an error of the source', async () => {
  for (const compressor of COMPRESSORS) {
    await expect(collect(compress(await chooseCompression(compressor), broken()))).rejects.toThrow(
      'no more',
    );
  }
});
