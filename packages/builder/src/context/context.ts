import { constants, createReadStream, lstatSync, readlinkSync, type Stats } from 'node:fs';
import {
  type Digest,
  Digester,
  digestOf,
  isErrno,
  kindOfFile,
  LktError,
  mapConcurrent,
} from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import type { CopyPlan, SourceNode, SourceTree } from '@lkt/dockerfile';
import { readSmallFile } from './read-small-file.ts';

/**
 * A file of the build context. Directories are implied by paths; a context has no empty
 * directories.
 */
export interface ContextFile {
  readonly path: RawPath;
  /** Absolute path on the host of a regular file or a symlink. */
  readonly source: string;
  /** The expected digest, if known. Other content is an error. */
  readonly digest?: Digest;
  /** An earlier read of a regular file; ignored if the file differs now. */
  readonly read?: ReadContent | undefined;
}

/** The digest of a file's content, and the state of the file when it was read. */
export interface ReadContent {
  readonly stats: Stats;
  readonly content: Digest;
}

/** A file of the context. Its mode is 644 or 755, by the owner's execute bit. */
export interface ContextNode extends SourceNode {
  readonly type: 'file' | 'directory' | 'symlink';
  readonly mode: number;
  readonly size: number;
  /** The path on the host; '' for directories. */
  readonly source: string;
}

/** A file of the context with what was read of it. It can be written as JSON. */
export interface ReadFile extends ContextFile {
  readonly node?: ContextNode | undefined;
  readonly content?: Digest | undefined;
}

/** Maximum number of files hashed concurrently. */
const MAX_HASHED_AT_ONCE = 8;
/** Files up to this size are read at once. */
const SMALL_FILE = 64 * 1024;
const CHUNK = 256 * 1024;

/**
 * The build context as a tree in memory. Files are read on demand, so a file that no COPY selects
 * costs nothing.
 */
export class Context implements SourceTree {
  readonly #sources = new Map<RawPath, string>();
  readonly #expected = new Map<RawPath, Digest>();
  readonly #read = new Map<RawPath, ReadContent>();
  readonly #children = new Map<RawPath, Set<string>>([['', new Set()]]);
  readonly #sorted = new Map<RawPath, readonly string[]>();
  readonly #nodes = new Map<RawPath, ContextNode>();
  readonly #seen = new Map<RawPath, Stats>();
  readonly #contents = new Map<RawPath, Digest>();
  readonly #hashing = new Map<RawPath, Promise<Digest>>();

  /**
   * @param files may have what another context read of them; `changed` does not notice changes of
   * those
   * @throws LktError CONFIG_INVALID when a path is both a file and a directory.
   */
  constructor(files: readonly ReadFile[]) {
    for (const { path, source, digest, read, node, content } of files) {
      this.#sources.set(path, source);
      if (digest !== undefined) this.#expected.set(path, digest);
      else if (read !== undefined) this.#read.set(path, read);
      if (node !== undefined) this.#nodes.set(path, node);
      if (content !== undefined) this.#contents.set(path, content);
      this.#addToParent(path);
    }
    for (const path of this.#sources.keys()) {
      if (this.#children.has(path)) {
        throw new LktError(
          'CONFIG_INVALID',
          `${fromRaw(path)} is a file and a directory in the build context`,
        );
      }
    }
  }

  /**
   * @throws LktError IO_FAILED when the file no longer exists, UNSUPPORTED when it is neither a
   * file nor a symlink.
   */
  node(path: RawPath): ContextNode | undefined {
    if (this.#children.has(path)) return DIRECTORY;
    const source = this.#sources.get(path);
    if (source === undefined) return undefined;
    let node = this.#nodes.get(path);
    if (node === undefined) {
      node = this.#inspect(path, source);
      this.#nodes.set(path, node);
    }
    return node;
  }

  names(path: RawPath): readonly string[] {
    let names = this.#sorted.get(path);
    if (names === undefined) {
      names = [...(this.#children.get(path) ?? [])].toSorted((a, b) => (a < b ? -1 : 1));
      this.#sorted.set(path, names);
    }
    return names;
  }

  /** Returns the files with what has been read of them. */
  files(): readonly ReadFile[] {
    return [...this.#sources].map(([path, source]) => ({
      path,
      source,
      digest: this.#expected.get(path),
      node: this.#nodes.get(path),
      content: this.#contents.get(path),
    }));
  }

  /** Returns the digest of a file's content, and reads the file once. */
  async contentDigest(path: RawPath, signal?: AbortSignal): Promise<Digest> {
    const known = this.#contents.get(path);
    if (known !== undefined) return known;
    let digest = this.#hashing.get(path);
    if (digest === undefined) {
      digest = this.#checked(path, signal);
      this.#hashing.set(path, digest);
    }
    return digest;
  }

  /** Returns the digests of the contents of files, by path, and reads each file once. */
  async contentDigests(
    paths: readonly RawPath[],
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<RawPath, Digest>> {
    await mapConcurrent(
      paths.filter((path) => !this.#contents.has(path)),
      async (path) => this.contentDigest(path, signal),
      { concurrency: MAX_HASHED_AT_ONCE },
    );
    return this.#contents;
  }

  /** Returns the first file that changed since it was read: size, change time or inode. */
  changed(): RawPath | undefined {
    for (const [path, before] of this.#seen) {
      // A file with a known digest may be touched.
      if (this.#expected.has(path)) continue;
      const now = statsOf(this.#sources.get(path) ?? '');
      if (now === undefined || !isSame(before, now)) return path;
    }
    return undefined;
  }

  /**
   * Returns one digest over everything that a COPY brings into the image: destination paths, types,
   * modes, contents and symlink targets. Nothing else of the host affects it.
   */
  async digest(plan: CopyPlan, signal?: AbortSignal): Promise<Digest> {
    const paths = plan.entries.filter(({ type }) => type === 'file').map(({ source }) => source);
    const contents = await this.contentDigests(paths, signal);
    const digester = new Digester();
    const add = (line: readonly unknown[]): void => {
      digester.update(Buffer.from(`${JSON.stringify(line)}\n`));
    };
    for (const directory of plan.directories) add(['make', directory]);
    for (const { source, target, type } of plan.entries) {
      const node = this.node(source);
      const content = type === 'file' ? contents.get(source) : node?.link;
      add([type, target, node?.mode, content ?? null]);
    }
    for (const { target, content } of plan.files) add(['inline', target, digestOf(content)]);
    return digester.digest();
  }

  #addToParent(path: RawPath): void {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? '' : path.slice(0, slash);
    let siblings = this.#children.get(parent);
    if (siblings === undefined) {
      siblings = new Set();
      this.#children.set(parent, siblings);
      this.#addToParent(parent);
    }
    siblings.add(path.slice(slash + 1));
  }

  #inspect(path: RawPath, source: string): ContextNode {
    try {
      const stats = lstatSync(source);
      if (stats.isSymbolicLink()) {
        const link = readlinkSync(source, 'latin1');
        return { type: 'symlink', mode: 0o777, size: 0, link, source };
      }
      if (!stats.isFile()) {
        throw new LktError(
          'UNSUPPORTED',
          `${fromRaw(path)} in the build context is ${kindOfFile(stats)}, which cannot be copied into an image`,
          { fix: 'remove it, or leave it out with .dockerignore' },
        );
      }
      this.#seen.set(path, stats);
      const read = this.#read.get(path);
      if (read !== undefined && isSame(read.stats, stats) && read.stats.ctimeMs === stats.ctimeMs)
        this.#contents.set(path, read.content);
      const mode = (stats.mode & 0o100) === 0 ? 0o644 : 0o755;
      return { type: 'file', mode, size: stats.size, source };
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
      throw new LktError('IO_FAILED', `cannot read ${fromRaw(path)} of the build context`, {
        cause: error,
        fix: 'check that the file exists and is readable, and build again',
      });
    }
  }

  async #checked(path: RawPath, signal: AbortSignal | undefined): Promise<Digest> {
    const digest = await this.#hash(path, signal);
    const expected = this.#expected.get(path);
    if (expected === undefined || digest === expected) {
      this.#contents.set(path, digest);
      return digest;
    }
    throw new LktError(
      'DIGEST_MISMATCH',
      `${fromRaw(path)} of the build context is ${digest}, and should be ${expected}`,
      { fix: 'remove damaged blobs with: lkt cache verify --remove' },
    );
  }

  async #hash(path: RawPath, signal: AbortSignal | undefined): Promise<Digest> {
    const node = this.node(path);
    if (node?.type !== 'file') throw new Error(`${path} is not a file of the context`);
    try {
      return await hashFile(path, node, signal);
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'EACCES', 'EISDIR', 'EIO', 'ELOOP')) throw error;
      throw new LktError('IO_FAILED', `cannot read ${fromRaw(path)} of the build context`, {
        cause: error,
      });
    }
  }
}

const DIRECTORY: ContextNode = { type: 'directory', mode: 0o755, size: 0, source: '' };

/**
 * A file may have become a pipe or a symlink since it was read: do not wait for the one or follow
 * the other.
 */
const OPEN = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

async function hashFile(
  path: RawPath,
  { source, size }: ContextNode,
  signal: AbortSignal | undefined,
): Promise<Digest> {
  if (size <= SMALL_FILE) {
    const content = await readSmallFile(source, size, OPEN, signal);
    if (content.length !== size) throw changedFile(path);
    return digestOf(content);
  }
  const digester = new Digester();
  let read = 0;
  const options = { signal, highWaterMark: CHUNK, flags: OPEN as unknown as string };
  for await (const chunk of createReadStream(source, options)) {
    read += (chunk as Buffer).length;
    // The file grew while it was read.
    if (read > size) break;
    digester.update(chunk as Buffer);
  }
  if (read !== size) throw changedFile(path);
  return digester.digest();
}

/** Returns the error for a file that changed while it was read. */
export function changedFile(path: RawPath): LktError {
  return new LktError('IO_FAILED', `${fromRaw(path)} changed while the build context was read`, {
    fix: 'make sure that nothing writes there, and build again',
  });
}

function isSame(before: Stats, now: Stats): boolean {
  return (
    before.size === now.size &&
    before.mtimeMs === now.mtimeMs &&
    before.ino === now.ino &&
    before.dev === now.dev
  );
}

function statsOf(source: string): Stats | undefined {
  try {
    return lstatSync(source, { throwIfNoEntry: false });
  } catch (error) {
    if (isErrno(error, 'EACCES')) return undefined;
    throw error;
  }
}
