import { digestAlgorithm, LktError } from '@lkt/core';
import { createAsyncDigester } from '../io/async-digester.ts';
import type { Layer } from './layer.ts';

/**
 * Yields the tar archive of a layer, and compares its digest with the diff id at the end. Hashes
 * each chunk while the consumer uses it.
 * @throws LktError IMAGE_INVALID after the last chunk, if the digest is another one
 */
export async function* verifyDiffId(
  archive: AsyncIterable<Uint8Array>,
  { descriptor, diffId }: Layer,
): AsyncGenerator<Uint8Array> {
  using digester = await createAsyncDigester(descriptor.size, digestAlgorithm(diffId));
  for await (const chunk of archive) {
    const hashing = digester.update(chunk);
    // Awaited below, when the consumer is done with the chunk.
    hashing.catch(() => undefined);
    try {
      yield chunk;
    } finally {
      // The source may reuse the memory.
      await hashing;
    }
  }
  const actual = await digester.digest();
  if (actual === diffId) return;
  throw new LktError(
    'IMAGE_INVALID',
    `layer ${descriptor.digest} unpacks to ${actual}, and the config of its image says ${diffId}`,
    { fix: 'build the image again, and use its new digest' },
  );
}
