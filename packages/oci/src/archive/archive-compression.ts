import { ByteReader } from '../io/byte-reader.ts';
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
  const reader = new ByteReader(source);
  try {
    const compression = compressionOf(await reader.peek(4));
    if (compression === 'gzip') yield* gunzip(reader.rest(), { maxBytes });
    else if (compression === 'zstd') yield* unzstd(reader.rest(), { maxBytes });
    else yield* reader.rest();
  } finally {
    await reader.close();
  }
}
