import { lstat, utimes } from 'node:fs/promises';
import { type Digest, LktError } from '@lkt/core';
import { pieceDigester } from '@lkt/oci';
import { fileChunks } from '../file-chunks.ts';

/** Whether a file has this content; then it counts as written now. */
export async function isThere(
  path: string,
  { digest, size }: { readonly digest: Digest; readonly size: number },
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const stats = await lstat(path);
    if (!stats.isFile() || stats.size !== size) return false;
    using digester = await pieceDigester(size);
    for await (const chunk of fileChunks(path, { reuse: true })) {
      signal?.throwIfAborted();
      await digester.update(chunk);
    }
    if ((await digester.digest()) !== digest) return false;
    const now = new Date();
    await utimes(path, now, now);
    return true;
  } catch (error) {
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error)) return false;
    throw error;
  }
}
