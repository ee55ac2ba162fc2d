import { type FileHandle, open } from 'node:fs/promises';
import { ioError, BufferPool } from '@lkt/core';

/** Each read is a thread-pool task, so larger ones are cheaper. */
const CHUNK_BYTES = 2 ** 20;

/**
 * Streams a file, or a part of it, as far as it exists. With `canReuseBuffers`, a chunk is valid
 * only until the next one is requested, and no memory is allocated.
 * @throws IO_FAILED
 * @example
 * ```ts
 * for await (const chunk of fileChunks('rootfs.img', { canReuseBuffers: true }))
 *   digester.update(chunk);
 * ```
 */
export async function* fileChunks(
  path: string,
  { canReuseBuffers = false, part }: { canReuseBuffers?: boolean; part?: FilePart } = {},
): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    yield* chunksOf(file, { canReuseBuffers, part });
  } catch (error) {
    throw ioError(`cannot read ${path}`, error);
  }
}

/** A range of a file in bytes. */
interface FilePart {
  readonly offset: number;
  readonly size: number;
}

/** Buffers for long files; short ones allocate their own. */
const pool = new BufferPool(CHUNK_BYTES);

/** As `fileChunks`, for an open file and with a maximum size of a chunk. */
export async function* chunksOf(
  file: FileHandle,
  {
    canReuseBuffers = false,
    part,
    chunkBytes = CHUNK_BYTES,
  }: { canReuseBuffers?: boolean; part?: FilePart | undefined; chunkBytes?: number },
): AsyncGenerator<Uint8Array> {
  const { size } = part ?? (await file.stat());
  const length = Math.min(chunkBytes, Math.max(4096, size));
  const isPooled = canReuseBuffers && length === CHUNK_BYTES;
  const newChunk = (): Buffer => (isPooled ? pool.take() : Buffer.allocUnsafeSlow(length));
  let started = 0;
  const read = async (into: Buffer): Promise<{ readonly bytesRead: number }> => {
    if (part === undefined) return file.read(into, 0, length, null);
    const at = started;
    started += Math.min(length, part.size - at);
    return file.read(into, 0, started - at, part.offset + at);
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
        if (part !== undefined) return;
        if (!canReuseBuffers) chunk = newChunk();
        reading = read(chunk);
      } else {
        // Read the next chunk while this one is in use.
        const next = other ?? newChunk();
        reading = read(next);
        reading.catch(() => undefined);
        other = canReuseBuffers ? chunk : undefined;
        chunk = next;
        yield piece;
      }
    }
  } finally {
    // After an early stop, the consumer may still use its last chunk, but not the one being read.
    await reading.catch(() => undefined);
    if (isPooled) pool.release(chunk, ...(other === undefined ? [] : [other]));
  }
}

/**
 * Writes a whole chunk, at the end of the file unless a position is given. On a full disk, write(2)
 * first writes a part and fails on the next call.
 */
export async function writeAll(
  file: FileHandle,
  chunk: Uint8Array,
  position?: number,
): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const at = position === undefined ? null : position + done;
    done += (await file.write(chunk, done, chunk.length - done, at)).bytesWritten;
  }
}
