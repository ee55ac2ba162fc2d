import type { RandomAccess } from './elf-file.ts';

const CHUNK_BYTES = 2 ** 20;

/**
 * Reports whether a range of a file has a match, searched in chunks.
 * @param longest maximum length of a match in bytes
 * @param has reports whether a chunk has a match
 */
export async function findInRange(
  file: RandomAccess,
  { offset, size }: { readonly offset: number; readonly size: number },
  longest: number,
  has: (piece: Buffer) => boolean,
): Promise<boolean> {
  const end = Math.min(offset + size, file.size);
  for (let at = offset; at < end; at += CHUNK_BYTES) {
    const piece = await file.read(at, Math.min(CHUNK_BYTES + longest, end - at));
    if (has(piece)) return true;
  }
  return false;
}
