import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import { decompressLayer, type Image, type RawPath, readTar, type Store } from '@lkt/oci';
import { cacheFilePath, readCacheFile, writeCacheFile } from './cache-file.ts';
import type { Component } from './component.ts';
import { archivePatterns, PATTERN_BYTES } from './static-archive.ts';

/** Bytes. Larger libraries and programs are not compared. */
const MAX_LIBRARY_BYTES = 256 * 2 ** 20;
const MAX_PROGRAM_BYTES = 512 * 2 ** 20;
/** Functions of a library that a program must have. One alone may be a copy in another library. */
const MIN_FUNCTIONS = 2;
/** Offsets of two words of four bytes by which a pattern is found. */
const FIRST_WORD = 8;
const SECOND_WORD = 28;
/** Bits of the hash of the two words. */
const FILTER_BITS = 18;

/** Machine code of static libraries, by the component that has them. */
export class LinkedCode {
  /** Patterns by two of their words. */
  readonly #byWords = new Map<number, { readonly pattern: Buffer; readonly id: number }[]>();
  readonly #filter = new Uint8Array(1 << FILTER_BITS);
  readonly #components: readonly Component[];

  /** Code that several components have identifies none of them. */
  constructor(libraries: readonly (readonly [Component, readonly string[]])[]) {
    const byKey = new Map<string, { component: Component; patterns: Set<string> }>();
    for (const [component, patterns] of libraries) {
      const key = canonicalJson(component);
      const known = byKey.get(key) ?? { component, patterns: new Set() };
      for (const pattern of patterns) known.patterns.add(pattern);
      byKey.set(key, known);
    }
    const all = [...byKey.values()];
    this.#components = all.map(({ component }) => component);
    const counts = new Map<string, number>();
    for (const { patterns } of all)
      for (const pattern of patterns) counts.set(pattern, (counts.get(pattern) ?? 0) + 1);
    for (const [id, { patterns }] of all.entries())
      for (const text of patterns) {
        if (counts.get(text) !== 1) continue;
        const pattern = Buffer.from(text, 'latin1');
        const words = [pattern.readInt32LE(FIRST_WORD), pattern.readInt32LE(SECOND_WORD)] as const;
        this.#filter[hashOf(...words)] = 1;
        const others = this.#byWords.get(keyOf(...words));
        if (others === undefined) this.#byWords.set(keyOf(...words), [{ pattern, id }]);
        else others.push({ pattern, id });
      }
  }

  /** Returns the components whose functions are in a program. */
  foundIn(program: Buffer): readonly Component[] {
    const found = this.#components.map(() => new Set<Buffer>());
    const last = program.length - PATTERN_BYTES;
    let first = last < 0 ? 0 : program.readInt32LE(FIRST_WORD);
    let second = last < 0 ? 0 : program.readInt32LE(SECOND_WORD);
    for (let at = 0; at <= last; at += 1) {
      if (this.#filter[hashOf(first, second)] === 1)
        for (const { pattern, id } of this.#byWords.get(keyOf(first, second)) ?? [])
          if (program.compare(pattern, 0, PATTERN_BYTES, at, at + PATTERN_BYTES) === 0)
            found[id]?.add(pattern);
      first = (first >>> 8) | ((program[at + FIRST_WORD + 4] ?? 0) << 24);
      second = (second >>> 8) | ((program[at + SECOND_WORD + 4] ?? 0) << 24);
    }
    return this.#components.filter((_, id) => (found[id]?.size ?? 0) >= MIN_FUNCTIONS);
  }
}

/** Returns a number of 52 bits from two words. */
function keyOf(first: number, second: number): number {
  return (first >>> 0) * 2 ** 20 + (second >>> 12);
}

function hashOf(first: number, second: number): number {
  return Math.imul(first ^ Math.imul(second, 0x85ebca6b), 0x9e3779b1) >>> (32 - FILTER_BITS);
}

/** Reports whether a file may be a static library. */
export function isStaticLibrary({ path, size }: { path: RawPath; size: number }): boolean {
  return path.endsWith('.a') && size <= MAX_LIBRARY_BYTES;
}

/**
 * Returns the machine code of static libraries in an image, by the SHA-256 of their files.
 * @param hashes of the files, which the image has
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function libraryPatterns(
  store: Store,
  image: Image,
  hashes: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const pathOf = (hash: string): string => cacheFilePath(store, 'libraries', hash);
  const known = new Map<string, readonly string[]>();
  const missing = new Set<string>();
  for (const hash of hashes) {
    const lines = readCacheFile(store, pathOf(hash));
    if (lines === undefined) missing.add(hash);
    else
      known.set(
        hash,
        lines.map((line) => Buffer.from(line, 'hex').toString('latin1')),
      );
  }
  if (missing.size === 0) return known;
  for await (const { content } of contentsOf(store, image, isStaticLibrary, signal)) {
    const hash = digestHex(digestOf(content));
    if (!missing.delete(hash)) continue;
    const patterns = [...archivePatterns(content)];
    const lines = patterns.map((pattern) => Buffer.from(pattern, 'latin1').toString('hex'));
    await writeCacheFile(store, pathOf(hash), lines);
    known.set(hash, patterns);
  }
  return known;
}

/**
 * Returns the components whose static libraries are linked into programs, by the path of a program.
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function linkedLibraries(
  store: Store,
  image: Image,
  programs: ReadonlySet<RawPath>,
  code: LinkedCode,
  signal?: AbortSignal,
): Promise<ReadonlyMap<RawPath, readonly Component[]>> {
  const found = new Map<RawPath, readonly Component[]>();
  const wanted = ({ path, size }: { path: RawPath; size: number }): boolean =>
    programs.has(path) && size <= MAX_PROGRAM_BYTES;
  for await (const { path, content } of contentsOf(store, image, wanted, signal))
    found.set(path, code.foundIn(content));
  return found;
}

/** Yields files of an image, layer by layer. Reads each layer to its end, where it is verified. */
async function* contentsOf(
  store: Store,
  { manifest: { layers } }: Image,
  isWanted: (file: { path: RawPath; size: number }) => boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly path: RawPath; readonly content: Buffer }> {
  for (const layer of layers) {
    const source = store.read(layer, { canReuseBuffers: true });
    for await (const { path, type, size, content } of readTar(decompressLayer(layer, source))) {
      signal?.throwIfAborted();
      if (type !== 'file' || content === undefined || !isWanted({ path, size })) continue;
      const bytes = Buffer.allocUnsafe(size);
      let end = 0;
      for await (const chunk of content) {
        bytes.set(chunk, end);
        end += chunk.length;
      }
      yield { path, content: bytes };
    }
  }
}
