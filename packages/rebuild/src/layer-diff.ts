import { digestOfStream } from '@lkt/core';
import {
  decompressLayer,
  type Descriptor,
  type Entry,
  entryMetadata,
  type RawPath,
  readTar,
  type Store,
} from '@lkt/oci';

/** A path that differs between two layers. */
export interface EntryDifference {
  readonly path: RawPath;
  readonly first: Entry | undefined;
  readonly second: Entry | undefined;
  /** Whether the contents differ. `contents` has them, for a limited number of files. */
  readonly contentDiffers: boolean;
  readonly contents?: readonly [Buffer, Buffer];
}

/** The differing entries of two layers. */
export interface LayerDifference {
  readonly entries: readonly EntryDifference[];
  /** The number of further differences. */
  readonly more: number;
}

/** Maximum number of differences that are listed. */
const MAX_ENTRIES = 200;
/** Maximum number of files whose contents are compared, and of bytes of each. */
const MAX_CONTENTS = 24;
const MAX_BYTES = 16 * 2 ** 20;

/** Returns the differences between two layers of a store. */
export async function diffLayers(
  store: Store,
  first: Descriptor,
  second: Descriptor,
  signal?: AbortSignal,
): Promise<LayerDifference> {
  const [a, b] = [await list(store, first, signal), await list(store, second, signal)];
  const paths = [...new Set([...a.keys(), ...b.keys()])].toSorted((x, y) => (x < y ? -1 : 1));
  const differing = paths.flatMap((path): EntryDifference[] => {
    const [one, other] = [a.get(path), b.get(path)];
    if (one !== undefined && other !== undefined && one.text === other.text) return [];
    const content = one?.entry.type === 'file' && other?.entry.type === 'file';
    return [
      {
        path,
        first: one?.entry,
        second: other?.entry,
        contentDiffers: content && one.content !== other.content,
      },
    ];
  });
  const shown = differing.slice(0, MAX_ENTRIES);
  const wanted = new Set(
    shown
      .filter(({ contentDiffers }) => contentDiffers)
      .slice(0, MAX_CONTENTS)
      .map(({ path }) => path),
  );
  const [left, right] =
    wanted.size === 0
      ? [new Map<RawPath, Buffer>(), new Map<RawPath, Buffer>()]
      : [
          await contentsOf(store, first, wanted, signal),
          await contentsOf(store, second, wanted, signal),
        ];
  const entries = shown.map((difference) => {
    const [one, other] = [left.get(difference.path), right.get(difference.path)];
    return one === undefined || other === undefined
      ? difference
      : { ...difference, contents: [one, other] as const };
  });
  return { entries, more: differing.length - shown.length };
}

interface Listed {
  readonly entry: Entry;
  /** Digest of the content. */
  readonly content: string;
  /** All metadata and the digest as text. */
  readonly text: string;
}

async function list(
  store: Store,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Map<RawPath, Listed>> {
  const found = new Map<RawPath, Listed>();
  for await (const item of readTar(decompressLayer(layer, store.read(layer)))) {
    signal?.throwIfAborted();
    const content = await digestOfStream(item.content ?? []);
    const entry = entryMetadata(item);
    const xattrs = [...(entry.xattrs ?? [])].map(([name, value]) => [
      name,
      Buffer.from(value).toString('hex'),
    ]);
    const text = JSON.stringify({ ...entry, xattrs, pax: [...(entry.pax ?? [])], content });
    found.set(entry.path, { entry, content, text });
  }
  return found;
}

async function contentsOf(
  store: Store,
  layer: Descriptor,
  wanted: ReadonlySet<RawPath>,
  signal: AbortSignal | undefined,
): Promise<Map<RawPath, Buffer>> {
  const found = new Map<RawPath, Buffer>();
  for await (const item of readTar(decompressLayer(layer, store.read(layer)))) {
    signal?.throwIfAborted();
    const isWanted = wanted.has(item.path);
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of item.content ?? []) {
      if (isWanted && size < MAX_BYTES) chunks.push(Uint8Array.from(chunk));
      size += chunk.length;
    }
    if (isWanted) found.set(item.path, Buffer.concat(chunks).subarray(0, MAX_BYTES));
  }
  return found;
}
