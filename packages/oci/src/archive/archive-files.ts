import { type Digest, isDigest, LktError } from '@lkt/core';
import { unpackArchive } from './archive-compression.ts';
import { fromRaw, type RawPath } from '../tar/entry.ts';
import { joinChunks, singleChunk } from '../io/chunks.ts';
import type { Store } from '../store/store.ts';
import type { TarLimits } from '../tar/tar-header-reader.ts';
import { readTar } from '../tar/tar-reader.ts';

/** Limits on the JSON files read into memory: per file and in total, in bytes. */
const MAX_JSON = 4 * 2 ** 20;
const MAX_TOTAL_JSON = 64 * 2 ** 20;
const MAX_ENTRIES = 100_000;

/** The contents of an archive by path. */
export interface ArchiveFiles {
  readonly json: ReadonlyMap<RawPath, Buffer>;
  /** Blobs in the store, stored unchanged. */
  readonly blobs: ReadonlyMap<RawPath, { readonly digest: Digest; readonly size: number }>;
  /** Targets of symbolic and hard links, as paths from the root of the archive. */
  readonly links: ReadonlyMap<RawPath, RawPath>;
}

/**
 * Reads an archive to its end. Blobs and possible layers go into the store, JSON into memory.
 * @throws ARCHIVE_INVALID, DIGEST_MISMATCH
 */
export async function readArchive(
  store: Store,
  source: AsyncIterable<Uint8Array>,
  {
    limits = {},
    signal,
  }: { readonly limits?: TarLimits; readonly signal?: AbortSignal | undefined },
): Promise<ArchiveFiles> {
  const json = new Map<RawPath, Buffer>();
  const blobs = new Map<RawPath, { digest: Digest; size: number }>();
  const links = new Map<RawPath, RawPath>();
  let read = 0;
  const tar = readTar(unpackArchive(source, limits.maxBytes), {
    ...limits,
    maxEntries: limits.maxEntries ?? MAX_ENTRIES,
  });
  for await (const { path, type, link, size, content = singleChunk(Buffer.of()) } of tar) {
    signal?.throwIfAborted();
    if (type === 'directory') continue;
    if (json.has(path) || blobs.has(path) || links.has(path))
      throw invalid(`contains ${quotePath(path)} twice`);
    if (type === 'symlink' || type === 'hardlink') {
      links.set(path, type === 'hardlink' ? (link ?? '') : resolveLink(path, link ?? ''));
      continue;
    }
    if (type !== 'file') throw invalid(`contains a ${type}, ${quotePath(path)}`);
    const digest = digestOfPath(path);
    if (digest !== undefined) {
      blobs.set(path, await store.write(content, { digest, size }, signal));
    } else if (/\.json$|^oci-layout$|^repositories$/.test(path) || path.endsWith('/VERSION')) {
      read += size;
      if (size > MAX_JSON || read > MAX_TOTAL_JSON)
        throw invalid(`exceeds the limit for JSON files at ${quotePath(path)}`);
      json.set(path, await joinChunks(content));
    } else if (!path.startsWith('blobs/')) {
      blobs.set(path, await store.write(content, { size }, signal));
    }
  }
  return { json, blobs, links };
}

/** Returns the digest of a blob by its path in a layout. */
export function digestOfPath(path: RawPath): Digest | undefined {
  const [, algorithm = '', hex = ''] = /^blobs\/([^/]*)\/([^/]*)$/.exec(path) ?? [];
  const digest = `${algorithm}:${hex}`;
  return isDigest(digest) ? digest : undefined;
}

/**
 * Returns the target of a symbolic link as a path in the archive; `''` if it leaves the archive.
 */
function resolveLink(path: RawPath, link: RawPath): RawPath {
  const parts = link.startsWith('/') ? [] : path.split('/').slice(0, -1);
  for (const part of link.split('/')) {
    if (part === '..' && parts.pop() === undefined) return '';
    if (part !== '..' && part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}

function quotePath(path: RawPath): string {
  const text = JSON.stringify(fromRaw(path));
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function invalid(what: string): LktError {
  return new LktError('ARCHIVE_INVALID', `the archive ${what}`);
}
