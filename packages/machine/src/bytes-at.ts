import type { FileHandle } from 'node:fs/promises';

/** Returns `length` bytes, padded with zeros beyond the end of the file. */
export async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  await file.read(bytes, 0, length, position);
  return bytes;
}
