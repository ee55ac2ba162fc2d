/** Yields the bytes as one chunk; yields nothing for empty bytes. */
export async function* singleChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

/** Returns the bytes of all chunks. Copies them, since a source may reuse the memory of a chunk. */
export async function joinChunks(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks, (chunk) => Uint8Array.from(chunk)));
}
