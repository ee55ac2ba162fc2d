/** A file whose head is known only after the rest has been written. */
export interface HeadedBytes {
  /**
   * Streams the whole file, with zeros in place of the head. A chunk is valid only until the next
   * is requested.
   */
  bytes(): AsyncIterable<Uint8Array>;
  /** Returns the head, which replaces those zeros after `bytes` has been read to its end. */
  head(): Iterable<Uint8Array>;
}

const ZERO_CHUNK = Buffer.alloc(2 ** 16);

/** Yields `size` zero bytes. */
export function* zeros(size: number): Generator<Uint8Array> {
  for (let done = 0; done < size; done += ZERO_CHUNK.length)
    yield ZERO_CHUNK.subarray(0, size - done);
}

/** Reports whether a chunk comes from `zeros`, so that a sparse file can skip it. */
export function isZeroChunk({ buffer }: Uint8Array): boolean {
  return buffer === ZERO_CHUNK.buffer;
}
