import {
  type FileTree,
  flattenEntries,
  explainLayerError,
  type Image,
  type RawPath,
  readFile,
  type Store,
  type TreeNode,
} from '@lkt/oci';
import type { Component } from './component.ts';
import type { GoBuildInfo } from './go-build-info.ts';
import { inspectLayer, type InspectedEntry } from './inspect-layer.ts';
import { installedPackages, isDatabase, MAX_DATABASE } from './package-databases.ts';

/** A file of an image that is not empty. */
export interface InspectedFile {
  readonly path: RawPath;
  readonly size: number;
  /** 64 hex digits of sha256. */
  readonly hash: string;
  readonly go?: GoBuildInfo;
}

export interface Inspection {
  readonly files: readonly InspectedFile[];
  /** Packages that the databases of apk and dpkg say are installed. */
  readonly installed: readonly Component[];
}

/**
 * The files of an image, layer by layer, but for those of its lowest layers.
 * @param covered how many those are
 * @throws LktError ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function inspectImage(
  store: Store,
  { manifest: { layers } }: Image,
  covered: number,
  signal?: AbortSignal,
): Promise<Inspection> {
  const lists: (readonly InspectedEntry[])[] = [];
  for (const layer of layers) lists.push(await inspectLayer(store, layer, signal));
  const tree = await flattenEntries(
    layers.map((layer, index) => ({
      entries: lists[index] ?? [],
      explain: async (error) => explainLayerError(store, layer, error),
    })),
  );
  const files: InspectedFile[] = [];
  const databases = new Map<RawPath, string>();
  for (const node of filesOf(tree, covered)) {
    const { path, size } = node;
    const { hash, go, text } = lists[node.layer]?.[node.ordinal ?? NaN] ?? {};
    if (hash === undefined) throw new Error(`${path} is in no layer`);
    files.push({ path, size, hash, go });
    if (!isDatabase(path) || size > MAX_DATABASE) continue;
    // In its layer it may be a link to a file that is called otherwise.
    const read = async (): Promise<string> =>
      (await readFile(store, layers, tree, path, MAX_DATABASE)).toString('utf8');
    databases.set(path, text ?? (await read()));
  }
  return { files, installed: installedPackages(databases) };
}

/** Layer by layer, in each in its order. */
function filesOf(tree: FileTree, covered: number): readonly TreeNode[] {
  return [...tree.walk()]
    .filter(({ type, size, layer }) => type === 'file' && size > 0 && layer >= covered)
    .toSorted((a, b) => a.layer - b.layer || (a.ordinal ?? 0) - (b.ordinal ?? 0));
}
