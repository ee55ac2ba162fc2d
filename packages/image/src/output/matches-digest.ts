import { lstat, utimes } from 'node:fs/promises';
import { type Digest, LktError } from '@lkt/core';
import { fileChunks, createAsyncDigester } from '@lkt/oci';
import { type KnownFiles, stateOf } from './known-files.ts';

interface Expected {
  readonly digest: Digest;
  readonly size: number;
}

/**
 * Reports whether a file has a digest, and if so sets its times to now. Reads the file unless it is
 * known.
 */
export async function matchesDigest(
  path: string,
  { digest, size }: Expected,
  known: KnownFiles,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const stats = await lstat(path);
    if (!stats.isFile() || stats.size !== size) return false;
    const before = stateOf(path);
    if (before === undefined || !known.has(path, before, digest)) {
      if ((await digestOfFile(path, size, signal)) !== digest) return false;
    }
    const isSure = before !== undefined && before === stateOf(path);
    const now = new Date();
    await utimes(path, now, now);
    if (isSure) known.addTouched(path, { digest, size });
    return true;
  } catch (error) {
    if (error instanceof LktError || (error instanceof Error && 'syscall' in error)) return false;
    throw error;
  }
}

async function digestOfFile(path: string, size: number, signal?: AbortSignal): Promise<Digest> {
  using digester = await createAsyncDigester(size);
  for await (const chunk of fileChunks(path, { canReuseBuffers: true })) {
    signal?.throwIfAborted();
    await digester.update(chunk);
  }
  return digester.digest();
}
