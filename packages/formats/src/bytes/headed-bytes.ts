/** A file that begins with what is known only when the rest has been written. */
export interface HeadedBytes {
  /** The whole file, with zeros for its head. A piece is good until the next is asked for. */
  bytes(): AsyncIterable<Uint8Array>;
  /** The head, which goes over those zeros once `bytes` was read to its end. */
  head(): Iterable<Uint8Array>;
}

const CHUNK = Buffer.alloc(2 ** 16);

/** So many bytes 0. */
export function* zeros(size: number): Generator<Uint8Array> {
  for (let done = 0; done < size; done += CHUNK.length) yield CHUNK.subarray(0, size - done);
}

/** Whether bytes are those of `zeros`, for which a file needs no room. */
export function areZeros({ buffer }: Uint8Array): boolean {
  return buffer === CHUNK.buffer;
}
