import { existsSync } from 'node:fs';
import { Digester, digestHex, LktError } from '@lkt/core';
import {
  type Descriptor,
  type Entry,
  type LayerArchive,
  layerArchive,
  type RawPath,
  readTar,
  smallChunks,
  type Store,
} from '@lkt/oci';
import { GoBuildInfoScanner } from './go-build-info.ts';
import type { GoProgram } from './go-content.ts';
import { GoFileTableScanner } from './go-file-table.ts';
import { KernelScanner } from './kernel-scanner.ts';
import { cacheFilePath, readCacheFile, writeCacheFile } from './cache-file.ts';
import { isCopyrightFile, isPackageDatabase, MAX_DATABASE_BYTES } from './package-databases.ts';

/** A layer entry without its attributes, with the facts about its content. */
export interface InspectedEntry extends Entry {
  /** SHA-256, 64 hex digits; absent for an empty file. */
  readonly hash?: string;
  /** Whether the file is a program, library or object in ELF. */
  readonly isElf?: boolean;
  readonly go?: GoProgram;
  /** Version text of a Linux kernel. */
  readonly kernel?: string;
  /** Content of a package database or a copyright file. */
  readonly text?: string;
}

/** A non-empty file of a layer. */
export type LayerFile = Pick<InspectedEntry, 'path' | 'size'> & { readonly hash: string };

/**
 * Returns the entries of a layer in tar order. Each layer is read once: the entries are then kept
 * beside the store (`attestations/contents`).
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function inspectLayer(
  store: Store,
  layer: Descriptor,
  signal?: AbortSignal,
): Promise<readonly InspectedEntry[]> {
  return (await entryLines(store, layer, signal)).map(parseEntry);
}

/** Returns the entries of each layer; otherwise as `inspectLayer`. */
export async function inspectLayers(
  store: Store,
  layers: readonly Descriptor[],
  signal?: AbortSignal,
): Promise<readonly (readonly InspectedEntry[])[]> {
  const lists: (readonly InspectedEntry[])[] = [];
  for (const layer of layers) lists.push(await inspectLayer(store, layer, signal));
  return lists;
}

/**
 * Returns the files of a layer whose SHA-256 is in `wanted`.
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function layerFiles(
  store: Store,
  layer: Descriptor,
  wanted: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<readonly LayerFile[]> {
  const lines = await entryLines(store, layer, signal);
  return lines.flatMap((line) => {
    const hash = line.slice(0, HASH);
    if (!wanted.has(hash)) return [];
    const { path, size } = parseEntry(line);
    return [{ hash, path, size }];
  });
}

/**
 * Inspects layers before a build needs them. A later inspection of the same layer waits for this
 * one or reads its result.
 * @param archives the layers' archives, to read these instead of unpacking the layers
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function prefetchInspection(
  store: Store,
  layers: readonly Descriptor[],
  signal: AbortSignal,
  archives: readonly LayerArchive[] = [],
): Promise<void> {
  for (const [index, layer] of layers.entries())
    if (!existsSync(listPath(store, layer)))
      await entryLines(store, layer, signal, archives[index]);
}

/** Bound on the list of a layer, equal to that of flattening. */
const MAX_LIST_CHARS = 256 * 2 ** 20;

/** Lists in progress, by the path of their file. */
const inProgress = new Map<string, Promise<readonly string[]>>();

async function entryLines(
  store: Store,
  layer: Descriptor,
  signal: AbortSignal | undefined,
  archive: LayerArchive = layerArchive(store, layer),
): Promise<readonly string[]> {
  const path = listPath(store, layer);
  const known = readCacheFile(store, path);
  if (known !== undefined) return known;
  const list = async (): Promise<readonly string[]> =>
    writeCacheFile(store, path, await listEntries(archive, signal));
  const other = inProgress.get(path);
  // The other caller's signal may have aborted it.
  if (other !== undefined) return other.catch(list);
  const lines = list();
  inProgress.set(path, lines);
  try {
    return await lines;
  } finally {
    inProgress.delete(path);
  }
}

function listPath(store: Store, layer: Descriptor): string {
  return cacheFilePath(store, 'contents', digestHex(layer.digest));
}

async function listEntries(
  archive: LayerArchive,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  let chars = 0;
  await using opened = archive.open();
  try {
    for await (const { content, ...entry } of readTar(opened.data)) {
      signal?.throwIfAborted();
      const inspector = new ContentInspector(entry.path, entry.size);
      if (content !== undefined)
        for await (const chunk of smallChunks(content)) inspector.push(chunk);
      const line = formatEntry({ ...entry, ...(content === undefined ? {} : inspector.result()) });
      chars += line.length;
      if (chars > MAX_LIST_CHARS)
        throw new LktError(
          'ARCHIVE_INVALID',
          `the list of its entries exceeds ${MAX_LIST_CHARS} characters`,
        );
      lines.push(line);
    }
    await opened.finish();
  } catch (error) {
    throw (await archive.explain?.(error)) ?? error;
  }
  return lines;
}

const ELF = Buffer.from('\x7fELF', 'latin1');
/** Index of the byte order in an ELF file (elf(5), `EI_DATA`), and its value for big endian. */
const BYTE_ORDER = 5;
const BIG_ENDIAN = 2;

function isKept(path: RawPath, size: number): boolean {
  return (isPackageDatabase(path) && size <= MAX_DATABASE_BYTES) || isCopyrightFile(path, size);
}

/** Collects the facts about one file's content, which arrives in chunks. */
class ContentInspector {
  readonly #digester = new Digester();
  readonly #kept: Buffer[] | undefined;
  readonly #buildInfo = new GoBuildInfoScanner();
  #fileTable: GoFileTableScanner | undefined;
  readonly #kernel: KernelScanner;
  /** The first bytes, until they suffice to recognise an ELF file and its byte order. */
  #head: Buffer | undefined = Buffer.alloc(0);

  constructor(path: RawPath, size: number) {
    this.#kept = isKept(path, size) ? [] : undefined;
    this.#kernel = new KernelScanner(path, size);
  }

  push(chunk: Uint8Array): void {
    this.#digester.update(chunk);
    this.#kept?.push(Buffer.from(chunk));
    this.#kernel.push(chunk);
    if (this.#head === undefined) {
      this.#scan(chunk);
      return;
    }
    const head = Buffer.concat([this.#head, chunk]);
    this.#head = head.length > BYTE_ORDER ? undefined : head;
    if (this.#head !== undefined || !head.subarray(0, ELF.length).equals(ELF)) return;
    this.#fileTable = new GoFileTableScanner(head[BYTE_ORDER] === BIG_ENDIAN ? 'big' : 'little');
    this.#scan(head);
  }

  #scan(bytes: Uint8Array): void {
    if (this.#fileTable === undefined) return;
    this.#buildInfo.push(bytes);
    this.#fileTable.push(bytes);
  }

  result(): Pick<InspectedEntry, 'hash' | 'isElf' | 'go' | 'kernel' | 'text'> {
    const info = this.#buildInfo.result();
    const { directories = [] } = this.#fileTable ?? {};
    return {
      hash: digestHex(this.#digester.digest()),
      isElf: this.#fileTable === undefined ? undefined : true,
      go: info && { ...info, directories: directories.length === 0 ? undefined : directories },
      kernel: this.#kernel.result(),
      text: this.#kept === undefined ? undefined : Buffer.concat(this.#kept).toString('utf8'),
    };
  }
}

const HASH = 64;
const NO_HASH = '-'.repeat(HASH);

/** Formats an entry as a line. */
export function formatEntry({ hash = NO_HASH, ...entry }: InspectedEntry): string {
  const { path, type, mode, uid, gid, mtime, size, link, isElf, go, kernel, text } = entry;
  const rest = [link, isElf, go, kernel, text].map((field) => field ?? null);
  while (rest.at(-1) === null) rest.pop();
  return `${hash} ${JSON.stringify([type, path, size, mode, uid, gid, mtime, ...rest])}`;
}

type Fields = [
  ...[Entry['type'], RawPath, size: number, mode: number, uid: number, gid: number, mtime: number],
  ...[(RawPath | null)?, (true | null)?, (GoProgram | null)?, (string | null)?, string?],
];

/** Parses a line of `formatEntry`. */
export function parseEntry(line: string): InspectedEntry {
  const hash = line.slice(0, HASH);
  const fields = JSON.parse(line.slice(HASH + 1)) as Fields;
  const [type, path, size, mode, uid, gid, mtime, link, isElf, go, kernel, text] = fields;
  return {
    type,
    path,
    size,
    mode,
    uid,
    gid,
    mtime,
    text,
    hash: hash === NO_HASH ? undefined : hash,
    link: link ?? undefined,
    isElf: isElf ?? undefined,
    go: go ?? undefined,
    kernel: kernel ?? undefined,
  };
}
