import { lstat, utimes } from 'node:fs/promises';
import { type Digest, Digester, LktError } from '@lkt/core';
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
    const digester = new Digester();
    for await (const chunk of fileChunks(path, { reuse: true })) {
      signal?.throwIfAborted();
      digester.update(chunk);
    }
    if (digester.digest() !== digest) return false;
    const now = new Date();
    await utimes(path, now, now);
    return true;
  } catch (error) {
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error)) return false;
    throw error;
  }
}
