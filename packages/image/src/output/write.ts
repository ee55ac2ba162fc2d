import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, Digester, isErrno } from '@lkt/core';
import { ioError } from '../io-error.ts';

export interface OutputFile {
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

/** A file to write: its name in the directory and its content. */
export interface Output {
  readonly name: string;
  readonly bytes: () => AsyncIterable<Uint8Array>;
}

/**
 * Writes files into a directory, which is made if need be, and gives them their names when all are whole. Until then
 * what had these names stays; after an error nothing else is left.
 * @throws LktError DISK_FULL, IO_FAILED
 */
export async function writeOutputs(
  dir: string,
  outputs: readonly Output[],
  signal?: AbortSignal,
): Promise<readonly OutputFile[]> {
  const temps: string[] = [];
  try {
    await mkdir(dir, { recursive: true });
    const files: OutputFile[] = [];
    for (const { name, bytes } of outputs) {
      const temp = join(dir, `.${name}.${randomBytes(6).toString('hex')}`);
      temps.push(temp);
      files.push({ path: join(dir, name), ...(await writeFile(temp, bytes(), signal)) });
    }
    for (const [index, { path }] of files.entries()) await rename(temps[index] ?? '', path);
    return files;
  } catch (error) {
    throw ioError(`cannot write into ${dir}`, error);
  } finally {
    for (const temp of temps) await rm(temp, { force: true });
  }
}

/** That a directory can be written into, or be made. @throws LktError IO_FAILED */
export async function requireWritable(dir: string): Promise<void> {
  for (let at = dir; ; at = dirname(at)) {
    try {
      return await access(at, constants.W_OK | constants.X_OK);
    } catch (error) {
      if (!isErrno(error, 'ENOENT') || at === dirname(at))
        throw ioError(`cannot write into ${dir}`, error);
    }
  }
}

async function writeFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<{ size: number; digest: Digest }> {
  const digester = new Digester();
  await using file = await open(path, 'wx');
  for await (const chunk of bytes) {
    signal?.throwIfAborted();
    digester.update(chunk);
    let offset = 0;
    while (offset < chunk.length) offset += (await file.write(chunk, offset)).bytesWritten;
  }
  await file.datasync();
  const { size } = digester;
  return { size, digest: digester.digest() };
}
