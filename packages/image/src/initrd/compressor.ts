import { ENGINE_EPOCH, gzip, zstd } from '@lkt/oci';
import { padding } from './cpio.ts';

/** How the segments of an initrd are compressed. */
export type Compressor = 'zstd' | 'gzip' | 'none';

export const COMPRESSORS: readonly Compressor[] = ['zstd', 'gzip', 'none'];

/** All that the bytes of a compressed segment depend on, beside its content. */
export function compressorKey(compressor: Compressor): string {
  const version = compressor === 'zstd' ? ` ${process.versions['zstd']}` : '';
  return `${compressor}${version} epoch ${ENGINE_EPOCH}`;
}

/**
 * One frame or member for the whole source, because the kernel takes an archive from one only, with zero bytes up to a
 * multiple of four, where it looks for the next.
 */
export async function* compress(
  compressor: Compressor,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  const packed = { zstd, gzip, none: (plain: typeof source) => plain }[compressor](source);
  for await (const chunk of packed) {
    size += chunk.length;
    yield chunk;
  }
  yield padding(size);
}
