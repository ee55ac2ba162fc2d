import { gunzip, unzstd } from '../compression/compression.ts';

const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Returns the compression that `start`, the first four bytes of a file, announces. */
export function compressionOf(start: Uint8Array): 'gzip' | 'zstd' | undefined {
  const head = Buffer.from(start.subarray(0, 4));
  if (head.subarray(0, 2).equals(GZIP)) return 'gzip';
  return head.equals(ZSTD) ? 'zstd' : undefined;
}

/**
 * Yields the bytes of an archive, decompressed if it is gzip or zstd.
 *
 * @throws ARCHIVE_INVALID if the compressed data is broken or unpacks to more than `maxBytes`
 * @example
 * ```ts
 * for await (const entry of readTar(unpackArchive(createReadStream('image.tar.gz')))) use(entry);
 * ```
 */
export async function* unpackArchive(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number = 64 * 2 ** 30,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const buffered: Uint8Array[] = [];
  let length = 0;
  while (length < 4) {
    const next = await iterator.next();
    if (next.done === true) break;
    buffered.push(next.value);
    length += next.value.length;
  }
  const whole = joinChunks(buffered, iterator);
  const compression = compressionOf(Buffer.concat(buffered));
  if (compression === 'gzip') yield* gunzip(whole, { maxBytes });
  else if (compression === 'zstd') yield* unzstd(whole, { maxBytes });
  else yield* whole;
}

async function* joinChunks(
  buffered: readonly Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* buffered;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
