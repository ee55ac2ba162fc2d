/**
 * Splits a stream into blocks of `size` bytes, each in a buffer of its own; the last may be
 * shorter.
 */
export async function* blocksOf(
  data: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafe(size);
  let used = 0;
  for await (const chunk of data) {
    for (let done = 0; done < chunk.length;) {
      const part = chunk.subarray(done, done + size - used);
      block.set(part, used);
      used += part.length;
      done += part.length;
      if (used < size) continue;
      yield block;
      block = Buffer.allocUnsafe(size);
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}
