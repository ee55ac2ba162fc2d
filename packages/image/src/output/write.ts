import { randomBytes } from 'node:crypto';
import {
  access,
  constants,
  type FileHandle,
  mkdir,
  open,
  rename,
  rm,
  rmdir,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Digest, digestOf, ioError, isErrno } from '@lkt/core';
import { createAsyncDigester, fileChunks, singleChunk } from '@lkt/oci';
import { isZeroChunk } from '@lkt/formats';
import { writeAll } from '../cache.ts';
import { matchesDigest } from './matches-digest.ts';
import type { KnownFiles } from './known-files.ts';

export interface OutputFile {
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
}

/** A file to write: its name in the directory and its content. */
export interface Output {
  readonly name: string;
  /** What the bytes will be, if that is known: a file that is just so already stays, as if it were written anew. */
  readonly expected?: { readonly digest: Digest; readonly size: number };
  /** @param written the files before it */
  readonly bytes: (written: readonly OutputFile[]) => AsyncIterable<Uint8Array>;
  /** What goes over the beginning once all of `bytes` was written. */
  readonly head?: () => Iterable<Uint8Array>;
}

/** Where files are written, and what is known of those that are there. */
export interface OutputLocation {
  /** It is made if need be. */
  readonly dir: string;
  readonly known: KnownFiles;
  readonly signal?: AbortSignal | undefined;
}

/** Output files under temporary names. Disposal removes those that `finish` has not renamed. */
class StagedOutputs implements AsyncDisposable {
  readonly #location: OutputLocation;
  readonly #temps = new Map<string, string>();
  // `finish` waits for all files to reach the disk.
  readonly #syncs: Promise<void>[] = [];
  readonly #files: OutputFile[] = [];
  /** The outermost directory that was made for them. */
  #made: string | undefined;

  constructor(location: OutputLocation) {
    this.#location = location;
  }

  /**
   * Writes a file, unless the existing one has the expected digest.
   * @param written the files before it
   * @throws LktError DISK_FULL, IO_FAILED
   */
  async write(
    { name, bytes, head, expected }: Output,
    written: readonly OutputFile[],
  ): Promise<OutputFile> {
    const { dir, known, signal } = this.#location;
    const path = join(dir, name);
    const temp = join(dir, `.${name}.${randomBytes(6).toString('hex')}`);
    try {
      this.#made ??= await mkdir(dir, { recursive: true });
      if (expected !== undefined && (await matchesDigest(path, expected, known, signal))) {
        const { digest, size } = expected;
        return this.#add({ path, digest, size });
      }
      const sync = (file: FileHandle): void => this.#sync(file);
      const file = { path, ...(await writeFile(temp, bytes(written), { head, signal, sync })) };
      this.#temps.set(path, temp);
      return this.#add(file);
    } catch (error) {
      await rm(temp, { force: true });
      throw ioError(`cannot write into ${dir}`, error);
    }
  }

  /** Gives all of them their names. @throws LktError DISK_FULL, IO_FAILED */
  async finish(): Promise<void> {
    const { dir, known } = this.#location;
    try {
      await Promise.all(this.#syncs);
      const written = new Set(this.#temps.keys());
      for (const [path, temp] of this.#temps) {
        await rename(temp, path);
        this.#temps.delete(path);
      }
      this.#made = undefined;
      for (const file of this.#files) if (written.has(file.path)) known.addTouched(file.path, file);
    } catch (error) {
      throw ioError(`cannot write into ${dir}`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#syncs);
    for (const temp of this.#temps.values()) await rm(temp, { force: true });
    this.#temps.clear();
    if (this.#made !== undefined) await removeEmpty(this.#location.dir, this.#made);
  }

  #add(file: OutputFile): OutputFile {
    this.#files.push(file);
    return file;
  }

  #sync(file: FileHandle): void {
    const done = file.datasync().finally(async () => file.close());
    done.catch(() => undefined);
    this.#syncs.push(done);
  }
}

/** Removes a directory and those above it, up to `last`, as far as nobody has put anything there. */
async function removeEmpty(dir: string, last: string): Promise<void> {
  try {
    for (let at = resolve(dir); at.length >= last.length; at = dirname(at)) await rmdir(at);
  } catch {
    // It is somebody else's by now.
  }
}

/**
 * Writes files into a directory and gives them their names when all are whole. Until then what had these names stays; after
 * an error nothing else is left.
 * @throws LktError DISK_FULL, IO_FAILED
 */
export async function writeOutputs(
  location: OutputLocation,
  outputs: readonly Output[],
): Promise<readonly OutputFile[]> {
  await using staged = new StagedOutputs(location);
  const files: OutputFile[] = [];
  for (const output of outputs) files.push(await staged.write(output, files));
  await staged.finish();
  return files;
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

/** A file whose content is at hand. */
export function small(name: string, text: string | Buffer): Output {
  const data = Buffer.from(text as string);
  return {
    name,
    expected: { digest: digestOf(data), size: data.length },
    bytes: () => singleChunk(data),
  };
}

interface Writing {
  readonly head: Output['head'];
  readonly signal: AbortSignal | undefined;
  /** Gets what was written, to be synchronised and closed. */
  readonly sync: (file: FileHandle) => void;
}

async function writeFile(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  { head, signal, sync }: Writing,
): Promise<{ size: number; digest: Digest }> {
  const file = await open(path, 'wx');
  try {
    const written =
      head === undefined
        ? await writePieces(file, bytes, signal)
        : await writeHeaded(file, path, bytes, head, signal);
    sync(file);
    return written;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function writePieces(
  file: FileHandle,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<{ size: number; digest: Digest }> {
  using digester = await createAsyncDigester(Infinity);
  let hashing = Promise.resolve();
  let copy = Buffer.of();
  for await (const piece of bytes) {
    signal?.throwIfAborted();
    const writing = isZeroChunk(piece) ? undefined : writeAll(file, piece, digester.size);
    // Where the hash fails, nobody waits for it but the close of the file.
    writing?.catch(() => undefined);
    await hashing;
    if (copy.length < piece.length) copy = Buffer.allocUnsafeSlow(piece.length);
    copy.set(piece);
    // While the next piece is got.
    hashing = digester.update(copy.subarray(0, piece.length));
    hashing.catch(() => undefined);
    await writing;
  }
  await hashing;
  const { size } = digester;
  await file.truncate(size);
  return { size, digest: await digester.digest() };
}

async function writeHeaded(
  file: FileHandle,
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  head: NonNullable<Output['head']>,
  signal: AbortSignal | undefined,
): Promise<{ size: number; digest: Digest }> {
  let end = 0;
  for await (const piece of bytes) {
    signal?.throwIfAborted();
    if (!isZeroChunk(piece)) await writeAll(file, piece, end);
    end += piece.length;
  }
  await file.truncate(end);
  let at = 0;
  for (const piece of head()) {
    await writeAll(file, piece, at);
    at += piece.length;
  }
  using digester = await createAsyncDigester(end);
  for await (const piece of fileChunks(path, { canReuseBuffers: true })) {
    signal?.throwIfAborted();
    await digester.update(piece);
  }
  const { size } = digester;
  return { size, digest: await digester.digest() };
}
