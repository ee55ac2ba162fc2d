import { constants } from 'node:fs';
import { glob, lstat, open, readdir, readlink } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { type Digest, Digester, type YamlValue } from '@lkt/core';
import { fileChunks, parentPath, type RawPath, toRaw } from '@lkt/oci';
import { errorAt } from '../config/fields.ts';
import type { FileEntry } from '../config/files.ts';

/** A path from an entry of `files`. */
export interface HostEntry {
  readonly path: RawPath;
  readonly type: 'file' | 'directory' | 'symlink';
  readonly mode: number;
  readonly link?: RawPath;
  /** An existing directory keeps its owner and mode. */
  readonly isWeak?: boolean;
  /** Hashed now, and read again later. */
  readonly content?: {
    readonly digest: Digest;
    readonly size: number;
    readonly read: () => AsyncIterable<Uint8Array>;
  };
}

/** Exceeded only by a mistake, such as the source `/`. */
const MAX_ENTRIES = 1_000_000;

/**
 * Returns the files of a `source`: one file, a directory tree, or the matches of a pattern with
 * their paths below its fixed part. A relative source starts at the config.
 * @returns parents first, sorted; empty if the source is optional and missing
 * @throws LktError NOT_FOUND; CONFIG_INVALID for a special file
 */
export async function readSource(
  file: FileEntry,
  { source, at }: { readonly source: string; readonly at: YamlValue },
  homeDir: string | undefined,
): Promise<readonly HostEntry[]> {
  const path = hostPath(source, at, homeDir);
  const reader = new SourceReader(file, at);
  try {
    if (hasPattern(source) && !(await exists(path))) await reader.addMatches(path);
    else await reader.add(path, file.path, true);
  } catch (error) {
    const isSystem = error instanceof Error && 'syscall' in error;
    if (file.optional && isSystem) return [];
    if (!isSystem) throw error;
    throw errorAt('NOT_FOUND', at, `cannot read ${source}: ${error.message}`, {
      cause: error,
      fix: 'check the path, or set "optional: true"',
    });
  }
  if (reader.entries.size === 0 && !file.optional)
    throw errorAt('NOT_FOUND', at, `${source} matches nothing`, {
      fix: 'check the pattern, or set "optional: true"',
    });
  return [...reader.entries.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Returns the path of a source; undefined for a pattern.
 * @throws LktError CONFIG_INVALID for `~` without a home directory
 */
export function namedFile(
  { source, at }: { readonly source: string; readonly at: YamlValue },
  homeDir: string | undefined,
): string | undefined {
  const path = hostPath(source, at, homeDir);
  return hasPattern(source) ? undefined : path;
}

class SourceReader {
  readonly entries = new Map<RawPath, HostEntry>();
  readonly #file: FileEntry;
  readonly #at: YamlValue;

  constructor(file: FileEntry, at: YamlValue) {
    this.#file = file;
    this.#at = at;
  }

  /**
   * @param isNamed the config names the path itself: links are followed, and the default mode is
   * 0600
   */
  async add(path: string, target: RawPath, isNamed: boolean): Promise<void> {
    if (this.entries.size >= MAX_ENTRIES)
      throw this.#at.error(`there are more than ${MAX_ENTRIES} files`);
    const found = await lstat(path);
    if (found.isSymbolicLink() && !isNamed) {
      const link = toRaw(await readlink(path));
      this.#set({ path: target, type: 'symlink', mode: 0o777, link });
    } else if (found.isDirectory() || (isNamed && (await isDirectory(path)))) {
      await this.#addDirectory(path, target);
    } else {
      const mode =
        this.#file.mode ?? (isNamed ? 0o600 : (found.mode & 0o100) === 0 ? 0o644 : 0o755);
      this.#set({ path: target, type: 'file', mode, content: await this.#content(path) });
    }
  }

  async addMatches(pattern: string): Promise<void> {
    const base = fixedPart(pattern);
    const matches = await Array.fromAsync(glob(pattern));
    for (const match of matches.toSorted()) {
      const below = relative(base, match).split(sep).join('/');
      const target = below === '' ? this.#file.path : `${this.#file.path}/${toRaw(below)}`;
      if (this.entries.has(target)) continue;
      for (let dir = parentPath(target); dir.length > this.#file.path.length; dir = parentPath(dir))
        this.#directory(dir);
      if (target !== this.#file.path) this.#directory(this.#file.path);
      await this.add(match, target, false);
    }
  }

  async #addDirectory(path: string, target: RawPath): Promise<void> {
    this.#directory(target);
    for (const bytes of await readdir(path, { encoding: 'buffer' })) {
      const name = bytes.toString();
      if (!Buffer.from(name).equals(bytes))
        throw this.#at.error(`a name in ${path} is not UTF-8: ${JSON.stringify(name)}`);
      await this.add(join(path, name), `${target}/${toRaw(name)}`, false);
    }
  }

  #directory(path: RawPath): void {
    if (this.entries.has(path)) return;
    const mode = searchable(this.#file.mode ?? 0o755);
    this.#set({ path, type: 'directory', mode, isWeak: true });
  }

  #set(entry: HostEntry): void {
    this.entries.set(entry.path, entry);
  }

  async #content(path: string): Promise<NonNullable<HostEntry['content']>> {
    {
      // Nonblocking, so that a fifo does not wait for a writer.
      await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const found = await handle.stat();
      if (!found.isFile()) throw this.#at.error(`${path} is not a regular file`);
    }
    const digester = new Digester();
    for await (const chunk of fileChunks(path, { canReuseBuffers: true })) digester.update(chunk);
    const { size } = digester;
    const digest = digester.digest();
    return { digest, size, read: () => unchanged(path, digest, this.#at) };
  }
}

/** Returns a mode with search permission added where it has any other. */
export function searchable(mode: number): number {
  const some = (bits: number, bit: number): number => ((mode & bits) === 0 ? 0 : bit);
  return mode | some(0o700, 0o100) | some(0o070, 0o010) | some(0o007, 0o001);
}

function hasPattern(source: string): boolean {
  return /[*?[{]/.test(source);
}

/** Returns the directories of a pattern before its first wildcard. */
function fixedPart(pattern: string): string {
  const parts = pattern.split('/');
  const first = parts.findIndex(hasPattern);
  return parts.slice(0, first).join('/') || '/';
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function isDirectory(path: string): Promise<boolean> {
  await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return (await handle.stat()).isDirectory();
}

function hostPath(source: string, at: YamlValue, homeDir: string | undefined): string {
  if (!source.startsWith('~/'))
    return isAbsolute(source) ? source : join(dirname(at.file.path), source);
  if (homeDir !== undefined) return join(homeDir, source.slice(2));
  throw at.error('there is no home directory for "~"', { fix: 'write the path in full' });
}

async function* unchanged(path: string, digest: Digest, at: YamlValue): AsyncGenerator<Uint8Array> {
  const digester = new Digester();
  for await (const chunk of fileChunks(path)) {
    digester.update(chunk);
    yield chunk;
  }
  if (digester.digest() !== digest)
    throw errorAt('IO_FAILED', at, `${path} changed while it was read`);
}
