import { type FileHandle, open } from 'node:fs/promises';
import { ioError } from './io-error.ts';
import { SpareBuffers } from './spare-buffers.ts';

/** Of what is read: each piece is a task for another thread, which costs. */
const CHUNK = 2 ** 20;

/** The bytes of a file. With `reuse` a piece is good only until the next is asked for, and costs no memory. */
export async function* fileChunks(
  path: string,
  { reuse = false }: { reuse?: boolean } = {},
): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    yield* chunksOf(file, reuse);
  } catch (error) {
    throw ioError(`cannot read ${path}`, error);
  }
}

/** Most files are small, and need no such piece. */
const spare = new SpareBuffers(CHUNK);

async function* chunksOf(file: FileHandle, reuse: boolean): AsyncGenerator<Uint8Array> {
  const { size } = await file.stat();
  const length = Math.min(CHUNK, Math.max(4096, size));
  const isLong = reuse && length === CHUNK;
  const newChunk = (): Buffer => (isLong ? spare.take() : Buffer.allocUnsafeSlow(length));
  let chunk = newChunk();
  let other: Buffer | undefined;
  let reading = file.read(chunk, 0, length, null);
  try {
    for (let done = 0; ;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return;
      done += bytesRead;
      const part = chunk.subarray(0, bytesRead);
      if (done >= size) {
        yield part;
        if (!reuse) chunk = newChunk();
        reading = file.read(chunk, 0, length, null);
      } else {
        // The next is read while this one is used.
        const next = other ?? newChunk();
        reading = file.read(next, 0, length, null);
        reading.catch(() => undefined);
        other = reuse ? chunk : undefined;
        chunk = next;
        yield part;
      }
    }
  } finally {
    // Whoever stopped before the end may look at the last piece still, but at nothing that is read now.
    await reading.catch(() => undefined);
    if (isLong) spare.giveBack(chunk, ...(other === undefined ? [] : [other]));
  }
}
