import { Digester, digestHex, LktError } from '@lkt/core';
import {
  decompressLayer,
  type Descriptor,
  type Entry,
  explainLayerError,
  type RawPath,
  readTar,
  type Store,
} from '@lkt/oci';
import { type GoBuildInfo, GoBuildInfoScanner } from './go-build-info.ts';
import { noteFile, readNote, writeNote } from './notes.ts';
import { isDatabase, MAX_DATABASE } from './package-databases.ts';

/** An entry of a layer without its attributes, and what is known of its content. */
export interface InspectedEntry extends Entry {
  /** 64 hex digits of sha256; of a file that is not empty. */
  readonly hash?: string;
  readonly go?: GoBuildInfo;
  /** Of a database of packages, the content. */
  readonly text?: string;
}

/** A file in a layer that is not empty. */
export type LayerFile = Pick<InspectedEntry, 'path' | 'size'> & { readonly hash: string };

/**
 * The entries of a layer in its order. A layer is looked into once, whatever images it is in; what was found stays beside the
 * store.
 * @throws LktError ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function inspectLayer(
  store: Store,
  layer: Descriptor,
  signal?: AbortSignal,
): Promise<readonly InspectedEntry[]> {
  return (await linesOf(store, layer, signal)).map(parseLine);
}

/** The files of a layer whose hashes are wanted. @throws LktError as `inspectLayer` */
export async function layerFiles(
  store: Store,
  layer: Descriptor,
  wanted: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<readonly LayerFile[]> {
  const lines = await linesOf(store, layer, signal);
  return lines.flatMap((line) => {
    const hash = line.slice(0, HASH);
    if (!wanted.has(hash)) return [];
    const { path, size } = parseLine(line);
    return [{ hash, path, size }];
  });
}

/** Looks into layers that nobody has asked for, while there is time; who then asks waits for it, or finds it done. */
export async function inspectLayersAhead(
  store: Store,
  layers: readonly Descriptor[],
  signal: AbortSignal,
): Promise<void> {
  for (const layer of layers) await linesOf(store, layer, signal);
}

/** Of a list: as much as flattening takes. */
const MAX_HELD = 256 * 2 ** 20;

/** Lists that are being made, by the path of their notes. */
const making = new Map<string, Promise<readonly string[]>>();

async function linesOf(
  store: Store,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const path = noteFile(store, 'entries', digestHex(layer.digest));
  const known = await readNote(path);
  if (known !== undefined) return known;
  const make = async (): Promise<readonly string[]> =>
    writeNote(path, await lookInto(store, layer, signal));
  const other = making.get(path);
  // Whoever began it may have been told to stop.
  if (other !== undefined) return other.catch(make);
  const lines = make();
  making.set(path, lines);
  try {
    return await lines;
  } finally {
    making.delete(path);
  }
}

async function lookInto(
  store: Store,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  let held = 0;
  try {
    for await (const { content, ...entry } of readTar(
      decompressLayer(layer, store.read(layer, { canReuseBuffers: true })),
    )) {
      signal?.throwIfAborted();
      const look = new ContentInspector(entry.path, entry.size);
      for await (const chunk of content ?? []) look.push(chunk);
      const line = lineOf({ ...entry, ...(content === undefined ? {} : look.result()) });
      held += line.length;
      if (held > MAX_HELD)
        throw new LktError(
          'ARCHIVE_INVALID',
          `a list of its entries has more than ${MAX_HELD} bytes`,
        );
      lines.push(line);
    }
  } catch (error) {
    throw await explainLayerError(store, layer, error);
  }
  return lines;
}

const ELF = Buffer.from('\x7fELF', 'latin1');

/** What there is to know of a content that comes in pieces. */
class ContentInspector {
  readonly #digester = new Digester();
  readonly #kept: Buffer[] | undefined;
  #scanner: GoBuildInfoScanner | undefined = new GoBuildInfoScanner();
  /** The first bytes, until there are enough to see what it is. */
  #head: Buffer | undefined = Buffer.alloc(0);

  constructor(path: RawPath, size: number) {
    this.#kept = isDatabase(path) && size <= MAX_DATABASE ? [] : undefined;
  }

  push(chunk: Uint8Array): void {
    this.#digester.update(chunk);
    this.#kept?.push(Buffer.from(chunk));
    if (this.#head === undefined) {
      this.#scanner?.push(chunk);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length < ELF.length) return;
    if (this.#head.subarray(0, ELF.length).equals(ELF)) this.#scanner?.push(this.#head);
    else this.#scanner = undefined;
    this.#head = undefined;
  }

  result(): Pick<InspectedEntry, 'hash' | 'go' | 'text'> {
    const go = this.#scanner?.result;
    return {
      hash: digestHex(this.#digester.digest()),
      go,
      text: this.#kept === undefined ? undefined : Buffer.concat(this.#kept).toString('utf8'),
    };
  }
}

const HASH = 64;
const NO_HASH = '-'.repeat(HASH);

function lineOf({ hash = NO_HASH, ...entry }: InspectedEntry): string {
  const { path, type, mode, uid, gid, mtime, size, link, go, text } = entry;
  const rest = [link ?? null, go ?? null, text ?? null];
  while (rest.at(-1) === null) rest.pop();
  return `${hash} ${JSON.stringify([type, path, size, mode, uid, gid, mtime, ...rest])}`;
}

type Fields = [
  ...[Entry['type'], RawPath, size: number, mode: number, uid: number, gid: number, mtime: number],
  ...[(RawPath | null)?, (GoBuildInfo | null)?, string?],
];

function parseLine(line: string): InspectedEntry {
  const hash = line.slice(0, HASH);
  const fields = JSON.parse(line.slice(HASH + 1)) as Fields;
  const [type, path, size, mode, uid, gid, mtime, link = null, go = null, text] = fields;
  const entry = { type, path, size, mode, uid, gid, mtime };
  return {
    ...entry,
    ...(hash === NO_HASH ? {} : { hash }),
    ...(link === null ? {} : { link }),
    ...(go === null ? {} : { go }),
    text,
  };
}
