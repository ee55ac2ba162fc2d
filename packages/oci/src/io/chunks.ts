/** Yields the bytes as one chunk; yields nothing for empty bytes. */
export async function* singleChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

/** Returns the bytes of all chunks. Copies them, since a source may reuse the memory of a chunk. */
export async function joinChunks(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks, (chunk) => Uint8Array.from(chunk)));
}

/**
 * Yields the bytes in chunks of at most `maxBytes`, as views of the source's chunks. For readers
 * that copy what they get, of sources that yield whole files.
 */
export async function* smallChunks(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes?: number,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield* chunkPieces(chunk, maxBytes);
}

/** Yields a chunk in pieces of at most `maxBytes`, as views of it. */
export function* chunkPieces(
  chunk: Uint8Array,
  maxBytes: number = 256 * 1024,
): Generator<Uint8Array> {
  for (let start = 0; start < chunk.length; start += maxBytes)
    yield chunk.subarray(start, start + maxBytes);
}
