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
  let chunk = Buffer.allocUnsafeSlow(length);
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, length, null);
    if (bytesRead === 0) return;
    yield chunk.subarray(0, bytesRead);
    if (!reuse) chunk = Buffer.allocUnsafeSlow(length);
  }
}
