import { collectChunks, Digester, digestHex } from '@lkt/core';
import {
  decompressLayer,
  type Descriptor,
  layerError,
  type RawPath,
  readTar,
  type Store,
} from '@lkt/oci';
import { noteFile, readNote, writeNote } from './notes.ts';

/** A file in a layer that is not empty. */
export interface LayerFile {
  readonly path: RawPath;
  readonly size: number;
  /** 64 hex digits of sha256. */
  readonly hash: string;
}

/**
 * The files of a layer whose hashes are wanted. A layer is hashed once; the list stays beside the store.
 * @throws LktError ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function layerFiles(
  store: Store,
  layer: Descriptor,
  wanted: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<readonly LayerFile[]> {
  const lines = await layerLines(store, layer, signal);
  return lines.flatMap((line) => {
    const hash = line.slice(0, 64);
    if (!wanted.has(hash)) return [];
    const [size = '', name = '""'] = line
      .slice(65)
      .split(' ', 1)
      .concat(line.slice(line.indexOf('"')));
    return [{ hash, size: Number(size), path: JSON.parse(name) as RawPath }];
  });
}

/** Hashes the files of layers that nobody has asked for, while there is time; who then asks waits for it, or finds it done. */
export async function hashLayersAhead(
  store: Store,
  layers: readonly Descriptor[],
  signal: AbortSignal,
): Promise<void> {
  for (const layer of layers) await layerLines(store, layer, signal);
}

/** Lists that are being made, by the path of their notes. */
const making = new Map<string, Promise<readonly string[]>>();

async function layerLines(
  store: Store,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const path = noteFile(store, 'layers', digestHex(layer.digest));
  const known = await readNote(path);
  if (known !== undefined) return known;
  const make = async (): Promise<readonly string[]> =>
    writeNote(path, await hashLayer(store, layer, signal));
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

async function hashLayer(
  store: Store,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const lines: string[] = [];
  try {
    for await (const { type, path, size, content } of readTar(
      decompressLayer(layer, store.read(layer, { isReused: true })),
    )) {
      signal?.throwIfAborted();
      if (type !== 'file' || content === undefined) continue;
      const digester = new Digester();
      for await (const chunk of content) {
        digester.update(chunk);
        collectChunks(chunk.length);
      }
      lines.push(`${digestHex(digester.digest())} ${size} ${JSON.stringify(path)}`);
    }
  } catch (error) {
    throw await layerError(store, layer, error);
  }
  return lines;
}
