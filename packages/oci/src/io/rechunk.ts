/**
 * Joins and splits chunks into ones of `size` bytes; only the last one is shorter.
 * @param canShare a chunk that has this size already is not copied, so it is valid only as long as
 * the source's
 * @param canReuseBuffer a chunk is valid until the next one is requested; all are in one buffer
 */
export async function* rechunk(
  source: AsyncIterable<Uint8Array>,
  size: number,
  {
    canShare = false,
    canReuseBuffer = false,
  }: { canShare?: boolean; canReuseBuffer?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  let chunk = Buffer.allocUnsafeSlow(size);
  let used = 0;
  for await (const part of source) {
    if (canShare && used === 0 && part.length === size) {
      yield part;
      continue;
    }
    let rest = part;
    while (rest.length > 0) {
      const piece = rest.subarray(0, size - used);
      chunk.set(piece, used);
      used += piece.length;
      rest = rest.subarray(piece.length);
      if (used < size) continue;
      yield chunk;
      if (!canReuseBuffer) chunk = Buffer.allocUnsafeSlow(size);
      used = 0;
    }
  }
  if (used > 0) yield chunk.subarray(0, used);
}
