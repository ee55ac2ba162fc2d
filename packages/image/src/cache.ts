import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import {
  type Digest,
  digestHex,
  digestOf,
  ioError,
  isDigest,
  isErrno,
  LktError,
  type Reporter,
} from '@lkt/core';
import {
  type CacheArea,
  fileArea,
  fileChunks,
  createAsyncDigester,
  singleChunk,
  type Store,
  writeAll,
} from '@lkt/oci';
import { digestOfFile, KnownFiles } from './output/known-files.ts';

/** A file of the cache, as recorded. `ComposeCache.read` verifies it. */
export interface CachedFile {
  readonly path: string;
  readonly digest: Digest;
  readonly size: number;
}

/** A file of the cache, and whether an earlier build made it. */
export interface MadeFile extends CachedFile {
  readonly cached: boolean;
}

/** Part of a file of the cache. */
export interface CachedRange extends CachedFile {
  readonly offset: number;
}

/** A file of the cache is damaged. Its record is removed, so the next attempt makes it again. */
export class DamagedFile extends Error {}

/** Bytes of one read for short parts. */
const READ_SIZE = 256 * 1024;

/**
 * Directories of the composer's cache in a store: files made from one image, and files made from
 * several.
 */
export type ImageArea = 'contents' | 'segments';

/** The parts of the cache that composing writes, for `cache prune` and `cache verify`. */
export const imageCacheAreas: readonly CacheArea[] = [
  fileArea('contents', 'contents', { isIntact }),
  fileArea('segments', 'segments', { isIntact }),
];

/** A content is verified with its record, and is not used without one. */
async function isIntact(path: string, { sealed }: Store): Promise<boolean | undefined> {
  if (extname(path) === '') return undefined;
  const text = sealed.read(path);
  if (text === undefined || !path.endsWith('.sum')) return text !== undefined;
  const [digest, size] = text.split(' ');
  const content = path.slice(0, -'.sum'.length);
  try {
    return (await digestOfFile(content, Number(size))) === digest;
  } catch (error) {
    // Another process has removed the content, and not yet its record.
    if (existsSync(content)) throw error;
    return undefined;
  }
}

/**
 * Files made from images, in the store. A file is named by its inputs, and its sealed record has
 * its digest, which each read verifies. A missing or damaged file, or one whose record has not the
 * seal of the store, is made again. Processes may share the cache.
 */
export class ComposeCache {
  /** Digests of files outside the cache. */
  readonly knownFiles: KnownFiles;
  readonly #store: Store;
  readonly #dir: string;
  readonly #reporter: Reporter;
  readonly #signal: AbortSignal | undefined;
  /** Files written by this instance. */
  readonly #made = new Set<string>();

  constructor(store: Store, reporter: Reporter, area: ImageArea, signal?: AbortSignal) {
    this.#store = store;
    this.#dir = join(store.dir, area);
    this.#reporter = reporter;
    this.#signal = signal;
    this.knownFiles = new KnownFiles(this.#dir, store.sealed);
  }

  /**
   * Returns the file made from `inputs`, which determine its bytes; makes it if the cache lacks it.
   * @param head bytes that overwrite the start after all of `make`
   */
  async file(
    inputs: readonly string[],
    make: () => AsyncIterable<Uint8Array>,
    head?: () => Iterable<Uint8Array>,
  ): Promise<MadeFile> {
    const found = await this.find(inputs);
    return found === undefined
      ? { ...(await this.#make(keyOf(inputs), make, head)), cached: false }
      : { ...found, cached: !this.#made.has(found.path) };
  }

  /** Returns the file made from `inputs` if the cache has it. */
  async find(inputs: readonly string[]): Promise<CachedFile | undefined> {
    const path = join(this.#dir, keyOf(inputs));
    try {
      if (!(await this.#store.use(path)) || !(await this.#store.use(`${path}.sum`)))
        return undefined;
      const [digest = '', size] = this.#store.sealed.read(`${path}.sum`)?.split(' ') ?? [];
      if (size === undefined) return undefined;
      if (isDigest(digest) && String(statSync(path).size) === size)
        return { path, digest, size: Number(size) };
      this.#warn(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw ioError(`cannot read ${path}`, error);
    }
    return undefined;
  }

  /**
   * Yields the bytes of a file or range. Each chunk is valid until the next one is requested.
   * @throws DamagedFile at the end
   */
  async *read(file: CachedFile | CachedRange): AsyncGenerator<Uint8Array> {
    const { path, size, digest } = file;
    using digester = await createAsyncDigester(size);
    const part = 'offset' in file ? { part: file } : {};
    for await (const chunk of fileChunks(path, { canReuseBuffers: true, ...part })) {
      // Hashed while the caller uses the chunk.
      const hashing = digester.update(chunk);
      hashing.catch(() => undefined);
      if (digester.size > size) break;
      yield chunk;
      await hashing;
    }
    if (digester.size !== size || (await digester.digest()) !== digest)
      throw await this.#damaged(path);
  }

  /**
   * Yields short parts of a file by offset; adjacent parts share a read.
   * @throws DamagedFile
   */
  async *readParts<T extends Omit<CachedRange, 'path'>>(
    { path }: CachedFile,
    parts: readonly T[],
  ): AsyncGenerator<{ readonly part: T; readonly data: Buffer }> {
    let run = Buffer.alloc(0);
    let start = 0;
    try {
      await using file = await open(path, 'r');
      for (const part of parts.toSorted((a, b) => a.offset - b.offset)) {
        if (part.offset + part.size > start + run.length) {
          const buffer = Buffer.allocUnsafeSlow(Math.max(READ_SIZE, part.size));
          const { bytesRead } = await file.read(buffer, 0, buffer.length, part.offset);
          run = buffer.subarray(0, bytesRead);
          start = part.offset;
        }
        const data = run.subarray(part.offset - start, part.offset - start + part.size);
        if (data.length !== part.size || digestOf(data) !== part.digest)
          throw await this.#damaged(path);
        yield { part, data };
      }
    } catch (error) {
      throw ioError(`cannot read ${path}`, error);
    }
  }

  /**
   * Returns the text made from `inputs`; makes it if the cache lacks it.
   * @throws DamagedFile
   */
  async text(inputs: readonly string[], make: () => Promise<string> | string): Promise<string> {
    return this.#textOf(
      await this.file(inputs, async function* () {
        yield Buffer.from(await make());
      }),
    );
  }

  /**
   * Returns the text recorded for `inputs`; undefined without a record.
   * @throws DamagedFile
   */
  async findText(inputs: readonly string[]): Promise<string | undefined> {
    const found = await this.find(inputs);
    return found && this.#textOf(found);
  }

  /** Records a text for `inputs`, if the store is writable and has none. */
  async recordText(inputs: readonly string[], text: string): Promise<void> {
    try {
      await this.file(inputs, () => singleChunk(Buffer.from(text)));
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
    }
  }

  async #textOf({ path, digest }: CachedFile): Promise<string> {
    try {
      const data = readFileSync(path);
      if (digestOf(data) === digest) return data.toString();
    } catch (error) {
      throw ioError(`cannot read ${path}`, error);
    }
    throw await this.#damaged(path);
  }

  async #damaged(path: string): Promise<DamagedFile> {
    this.#warn(path);
    try {
      await rm(`${path}.sum`, { force: true });
    } catch (error) {
      throw ioError(`cannot remove ${path}, which is damaged`, error);
    }
    return new DamagedFile(path);
  }

  #warn(path: string, problem = 'is damaged'): void {
    this.#reporter.emit({ kind: 'warning', text: `${path} ${problem} and is made again` });
  }

  async #make(
    key: string,
    make: () => AsyncIterable<Uint8Array>,
    head?: () => Iterable<Uint8Array>,
  ): Promise<CachedFile> {
    const path = join(this.#dir, key);
    using digester = await createAsyncDigester(Infinity);
    await using temp = await this.#store.tempDir();
    try {
      await mkdir(this.#dir, { recursive: true });
      const data = join(temp.path, 'data');
      {
        await using file = await open(data, 'wx', 0o444);
        let end = 0;
        for await (const chunk of make()) {
          this.#signal?.throwIfAborted();
          const hashing = head === undefined ? digester.update(chunk) : undefined;
          await Promise.all([writeAll(file, chunk, end), hashing]);
          end += chunk.length;
        }
        let at = 0;
        for (const chunk of head?.() ?? []) {
          await writeAll(file, chunk, at);
          at += chunk.length;
        }
      }
      if (head !== undefined)
        for await (const chunk of fileChunks(data, { canReuseBuffers: true }))
          await digester.update(chunk);
      const { size } = digester;
      const digest = await digester.digest();
      // No fsync: a file torn by a crash does not match its digest.
      const record = `${digest} ${size}`;
      if ((this.#store.sealed.readIgnored(`${path}.sum`) ?? record) !== record)
        this.#warn(path, 'is not what its inputs give');
      await writeFile(`${data}.sum`, this.#store.sealed.seal(`${path}.sum`, record));
      await rename(data, path);
      await rename(`${data}.sum`, `${path}.sum`);
      for (const made of [path, `${path}.sum`]) await this.#store.use(made);
      this.#made.add(path);
      return { path, digest, size };
    } catch (error) {
      throw ioError('cannot write into the store', error);
    }
  }
}

function keyOf(inputs: readonly string[]): string {
  return digestHex(digestOf(inputs.join('\0')));
}
