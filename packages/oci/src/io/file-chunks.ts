import { type FileHandle, open } from 'node:fs/promises';
import { ioError, SpareBuffers } from '@lkt/core';

/** Of what is read: each piece is a task for another thread, which costs. */
const CHUNK = 2 ** 20;

/**
 * The bytes of a file, or of a part of one, as far as there are any. With `reuse` a piece is good only until the next is
 * asked for, and costs no memory.
 */
export async function* fileChunks(
  path: string,
  { reuse = false, part }: { reuse?: boolean; part?: FilePart } = {},
): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    yield* chunksOf(file, reuse, part);
  } catch (error) {
    throw ioError(`cannot read ${path}`, error);
  }
}

interface FilePart {
  readonly offset: number;
  readonly size: number;
}

/** Most files are small, and need no such piece. */
const spare = new SpareBuffers(CHUNK);

async function* chunksOf(
  file: FileHandle,
  reuse: boolean,
  part: FilePart | undefined,
): AsyncGenerator<Uint8Array> {
  const { size } = part ?? (await file.stat());
  const length = Math.min(CHUNK, Math.max(4096, size));
  const isLong = reuse && length === CHUNK;
  const newChunk = (): Buffer => (isLong ? spare.take() : Buffer.allocUnsafeSlow(length));
  let begun = 0;
  const read = async (into: Buffer): Promise<{ readonly bytesRead: number }> => {
    if (part === undefined) return file.read(into, 0, length, null);
    const at = begun;
    begun += Math.min(length, part.size - at);
    return file.read(into, 0, begun - at, part.offset + at);
  };
  let chunk = newChunk();
  let other: Buffer | undefined;
  let reading = read(chunk);
  try {
    for (let done = 0; ;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return;
      done += bytesRead;
      const piece = chunk.subarray(0, bytesRead);
      if (done >= size) {
        yield piece;
        if (!reuse) chunk = newChunk();
        reading = read(chunk);
      } else {
        // The next is read while this one is used.
        const next = other ?? newChunk();
        reading = read(next);
        reading.catch(() => undefined);
        other = reuse ? chunk : undefined;
        chunk = next;
        yield piece;
      }
    }
  } finally {
    // Whoever stopped before the end may look at the last piece still, but at nothing that is read now.
    await reading.catch(() => undefined);
    if (isLong) spare.release(chunk, ...(other === undefined ? [] : [other]));
  }
}
