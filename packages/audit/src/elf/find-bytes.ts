import type { RandomAccess } from './elf-file.ts';

const PIECE = 2 ** 20;

/**
 * Whether a part of a file has a match, looked for piece by piece.
 * @param longest how many bytes a match has at most
 * @param has looks into a piece
 */
export async function findInPart(
  file: RandomAccess,
  { offset, size }: { readonly offset: number; readonly size: number },
  longest: number,
  has: (piece: Buffer) => boolean,
): Promise<boolean> {
  const end = Math.min(offset + size, file.size);
  for (let at = offset; at < end; at += PIECE) {
    const piece = await file.read(at, Math.min(PIECE + longest, end - at));
    if (has(piece)) return true;
  }
  return false;
}
