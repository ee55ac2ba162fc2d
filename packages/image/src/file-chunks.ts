import { type FileHandle, open } from 'node:fs/promises';
import { ioError } from './io-error.ts';

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

async function* chunksOf(file: FileHandle, reuse: boolean): AsyncGenerator<Uint8Array> {
  const { size } = await file.stat();
  const length = Math.min(CHUNK, Math.max(4096, size));
  const newChunk = (): Buffer => Buffer.allocUnsafeSlow(length);
  let chunk = newChunk();
  let spare: Buffer | undefined;
  let reading = file.read(chunk, 0, length, null);
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
      const next = spare ?? newChunk();
      reading = file.read(next, 0, length, null);
      reading.catch(() => undefined);
      spare = reuse ? chunk : undefined;
      chunk = next;
      yield part;
    }
  }
}
