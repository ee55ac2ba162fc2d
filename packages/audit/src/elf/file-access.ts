import type { FileHandle } from 'node:fs/promises';
import type { RandomAccess } from './elf-file.ts';

/** Returns random access to an open file. */
export async function fileAccess(handle: FileHandle): Promise<RandomAccess> {
  const { size } = await handle.stat();
  return {
    size,
    async read(offset, length) {
      const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, offset);
      return bytes.subarray(0, bytesRead);
    },
  };
}

/** Returns random access to bytes in memory. */
export function bufferAccess(memory: Uint8Array): RandomAccess {
  const bytes = Buffer.from(memory.buffer, memory.byteOffset, memory.byteLength);
  return {
    size: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
  };
}
