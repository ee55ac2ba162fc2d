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
import type { Component, ComponentLicense } from './component.ts';
import type { GoProgram } from './go-content.ts';
import { inspectLayer, type InspectedEntry } from './inspect-layer.ts';
import {
  copyrightPath,
  installedPackages,
  isPackageDatabase,
  MAX_DATABASE_BYTES,
} from './package-databases.ts';

/** A non-empty file of an image. */
export interface InspectedFile {
  readonly path: RawPath;
  readonly size: number;
  /** SHA-256, 64 hex digits. */
  readonly hash: string;
  readonly isElf?: boolean;
  readonly go?: GoProgram;
  /** Version text of a Linux kernel. */
  readonly kernel?: string;
}

/** Options of inspecting an image. */
export interface InspectOptions {
  /**
   * Returns the licence that a copyright file of Debian declares. Default: licences are unknown.
   */
  readonly parseCopyright?: (text: string) => ComponentLicense | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The files and packages found in an image. */
export interface Inspection {
  readonly files: readonly InspectedFile[];
  /** Installed packages, by the databases of apk and dpkg. */
  readonly installed: readonly Component[];
}

/**
 * Returns the non-empty files of an image, layer by layer, without those of its lowest layers.
 * @param covered number of lowest layers to leave out
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function inspectImage(
  store: Store,
  { manifest }: Image,
  covered: number,
  { signal, parseCopyright }: InspectOptions = {},
): Promise<Inspection> {
  const lists: (readonly InspectedEntry[])[] = [];
  for (const layer of manifest.layers.slice(covered))
    lists.push(await inspectLayer(store, layer, signal));
  const lower: (readonly InspectedEntry[])[] = [];
  if (lists.some((list) => list.some(needsLower)))
    for (const layer of manifest.layers.slice(0, covered))
      lower.push(await inspectLayer(store, layer, signal));
  lists.unshift(...lower);
  const layers = manifest.layers.slice(covered - lower.length);
  const tree = await flattenEntries(
    layers.map((layer, index) => ({
      entries: lists[index] ?? [],
      explain: async (error) => explainLayerError(store, layer, error),
    })),
  );
  const files: InspectedFile[] = [];
  const databases = new Map<RawPath, string>();
  for (const node of filesOf(tree, lower.length)) {
    const { path, size } = node;
    const { hash, isElf, go, kernel, text } = lists[node.layer]?.[node.ordinal ?? NaN] ?? {};
    if (hash === undefined) throw new Error(`no layer contains ${path}`);
    files.push({ path, size, hash, isElf, go, kernel });
    if (!isPackageDatabase(path) || size > MAX_DATABASE_BYTES) continue;
    // A hard link has no content of its own: resolve it.
    const read = async (): Promise<string> =>
      (await readFile(store, layers, tree, path, MAX_DATABASE_BYTES)).toString('utf8');
    databases.set(path, text ?? (await read()));
  }
  const licenseOf = (name: string): ComponentLicense | undefined => {
    // Follows links: packages of one source share a directory.
    const found = tree.lookup(copyrightPath(name));
    const node = found?.type === 'hardlink' ? tree.get(found.link ?? '') : found;
    const text = node === undefined ? undefined : lists[node.layer]?.[node.ordinal ?? NaN]?.text;
    return text === undefined ? undefined : parseCopyright?.(text);
  };
  return { files, installed: installedPackages(databases, licenseOf) };
}

/** Reports whether an entry says something about files of the layers below its own. */
function needsLower({ type, path }: InspectedEntry): boolean {
  return type === 'hardlink' || isPackageDatabase(path);
}

/** Returns the files ordered by layer, then by position in the layer. */
function filesOf(tree: FileTree, covered: number): readonly TreeNode[] {
  return [...tree.walk()]
    .filter(({ type, size, layer }) => type === 'file' && size > 0 && layer >= covered)
    .toSorted((a, b) => a.layer - b.layer || (a.ordinal ?? 0) - (b.ordinal ?? 0));
}
