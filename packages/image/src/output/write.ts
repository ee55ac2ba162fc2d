import { randomBytes } from 'node:crypto';
import { access, constants, type FileHandle, open, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { digestOf, ioError, isErrno, LktError, mapConcurrent } from '@lkt/core';
import { createAsyncDigester, singleChunk, writeAll } from '@lkt/oci';
import { makeDirectories } from '@lkt/oci/files';
import { isZeroChunk } from '@lkt/formats';
import { digestOfFile, type FileDigest, type KnownFiles } from './known-files.ts';

/** A file of the output directory. */
export interface OutputFile extends FileDigest {
  readonly path: string;
}

/** A file to write into the output directory. */
export interface Output {
  readonly name: string;
  /** The expected bytes, if known: an existing file with them is kept and touched. */
  readonly expected?: FileDigest;
  readonly bytes: () => AsyncIterable<Uint8Array>;
  /** Whether `bytes` needs other outputs to be written first. */
  readonly isDerived?: boolean;
  /** Records the digest after writing, so that the next build can keep the file. */
  readonly note?: (file: FileDigest) => Promise<void>;
  /** Overwrites the start of the file after all of `bytes`. */
  readonly head?: () => Iterable<Uint8Array>;
}

/** The output directory, and the known digests in it. */
export interface OutputLocation {
  /** Created if missing. */
  readonly dir: string;
  readonly known: KnownFiles;
  readonly signal?: AbortSignal | undefined;
}

/** Output files under temporary names. Disposal removes those that `finish` has not renamed. */
class StagedOutputs implements AsyncDisposable {
  readonly #location: OutputLocation;
  /** By temporary path. */
  readonly #staged = new Map<string, OutputFile>();
  // `finish` waits for all files to reach the disk.
  readonly #syncs: Promise<void>[] = [];
  /** Outermost directory created for the outputs. */
  #made: string | undefined;

  constructor(location: OutputLocation) {
    this.#location = location;
  }

  /**
   * Writes a file, unless the existing one has the expected digest.
   * @throws LktError DISK_FULL, IO_FAILED
   */
  async write(output: Output): Promise<OutputFile> {
    const { name, expected } = output;
    const { dir, known, signal } = this.#location;
    const path = join(dir, name);
    const temp = join(dir, `.${name}.${randomBytes(6).toString('hex')}`);
    try {
      this.#made ??= await makeDirectories(dir);
      if (expected !== undefined && (await known.matches(path, expected, signal)))
        return { path, digest: expected.digest, size: expected.size };
      const file = { path, ...(await this.#writeTemp(temp, output)) };
      this.#staged.set(temp, file);
      return file;
    } catch (error) {
      await rm(temp, { force: true });
      throw ioError(`cannot write into ${dir}`, error);
    }
  }

  /**
   * Renames all files.
   * @throws LktError DISK_FULL, IO_FAILED
   */
  async finish(): Promise<void> {
    const { dir, known } = this.#location;
    try {
      await Promise.all(this.#syncs);
      const staged = [...this.#staged];
      for (const [temp, { path }] of staged) {
        await rename(temp, path);
        this.#staged.delete(temp);
      }
      this.#made = undefined;
      for (const [, file] of staged) known.record(file.path, file);
    } catch (error) {
      throw ioError(`cannot write into ${dir}`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#syncs);
    for (const temp of this.#staged.keys()) await rm(temp, { force: true });
    this.#staged.clear();
    if (this.#made !== undefined) await removeEmpty(this.#location.dir, this.#made);
  }

  async #writeTemp(path: string, { bytes, head }: Output): Promise<FileDigest> {
    const { signal } = this.#location;
    const file = await open(path, 'wx');
    try {
      const result =
        head === undefined
          ? await writePieces(file, bytes(), signal)
          : await writeHeaded(file, path, bytes(), head, signal);
      const synced = file.datasync().finally(async () => file.close());
      synced.catch(() => undefined);
      this.#syncs.push(synced);
      return result;
    } catch (error) {
      await file.close();
      throw error;
    }
  }
}

/** Removes empty directories from `dir` up to `last`. */
async function removeEmpty(dir: string, last: string): Promise<void> {
  try {
    for (let at = resolve(dir); at.length >= last.length; at = dirname(at)) await rmdir(at);
  } catch {
    // Another process uses it by now.
  }
}

/** Files that are written at once. Each takes 3 MiB of buffers; two keep two processors busy. */
const CONCURRENT_FILES = 2;

/**
 * Writes files into a directory and renames them when all are complete. Existing files stay until
 * then; an error leaves no new files.
 * @param last returns a file that describes the others
 * @throws LktError DISK_FULL, IO_FAILED
 */
export async function writeOutputs(
  location: OutputLocation,
  outputs: readonly Output[],
  last?: (written: readonly OutputFile[]) => Output,
): Promise<readonly OutputFile[]> {
  await using staged = new StagedOutputs(location);
  const byOutput = new Map<Output, OutputFile>();
  const write = async (output: Output): Promise<void> => {
    byOutput.set(output, await staged.write(output));
  };
  const derived = outputs.filter(({ isDerived }) => isDerived === true);
  const others = outputs.filter((output) => !derived.includes(output));
  await mapConcurrent(others, write, { concurrency: CONCURRENT_FILES });
  for (const output of derived) await write(output);
  const written = outputs.flatMap((output) => byOutput.get(output) ?? []);
  const files = last === undefined ? written : [...written, await staged.write(last(written))];
  await staged.finish();
  for (const [output, file] of byOutput) await output.note?.(file);
  return files;
}

/**
 * Checks that a directory is writable or can be created.
 * @throws LktError IO_FAILED
 */
export async function requireWritable(dir: string): Promise<void> {
  for (let at = dir; ; at = dirname(at)) {
    try {
      return await access(at, constants.W_OK | constants.X_OK);
    } catch (error) {
      if (isErrno(error, 'EACCES', 'EROFS'))
        throw new LktError('IO_FAILED', `cannot write into ${dir}`, {
          cause: error,
          fix: 'name another directory: --dir',
        });
      if (!isErrno(error, 'ENOENT') || at === dirname(at))
        throw ioError(`cannot write into ${dir}`, error);
    }
  }
}

/** Returns an output with content in memory. */
export function small(name: string, text: string | Buffer): Output {
  const data = Buffer.from(text as string);
  return {
    name,
    expected: { digest: digestOf(data), size: data.length },
    bytes: () => singleChunk(data),
  };
}

async function writePieces(
  file: FileHandle,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<FileDigest> {
  using digester = await createAsyncDigester(Infinity);
  let hashing = Promise.resolve();
  let copy = Buffer.of();
  for await (const piece of bytes) {
    signal?.throwIfAborted();
    const writing = isZeroChunk(piece) ? undefined : writeAll(file, piece, digester.size);
    // If hashing fails, only the close of the file waits for the write.
    writing?.catch(() => undefined);
    await hashing;
    if (copy.length < piece.length) copy = Buffer.allocUnsafeSlow(piece.length);
    copy.set(piece);
    // Hashed while the next piece is made.
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
): Promise<FileDigest> {
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
  return { size: end, digest: await digestOfFile(path, end, signal) };
}
