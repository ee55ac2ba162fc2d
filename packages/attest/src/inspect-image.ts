import type { FileTree, Image, RawPath, Store, TreeNode } from '@lkt/oci';
import { baseEntries } from './base-entries.ts';
import type { Component, ComponentLicense } from './component.ts';
import type { GoProgram } from './go-content.ts';
import { ImageEntries } from './image-entries.ts';
import { inspectLayers, type InspectedEntry } from './inspect-layer.ts';
import { installedPackages, isPackageDatabase } from './package-databases.ts';

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

/** The image with the lowest layers of another one. */
export interface BaseImage {
  readonly image: Image;
  /** Whether the contents of these layers are known, so that only the others matter. */
  readonly isDescribed: boolean;
}

/** The files and packages found in an image. */
export interface Inspection {
  /** Files of the image's own layers, layer by layer. */
  readonly files: readonly InspectedFile[];
  /** Files of a base image that is not described, at least Go programs and kernels. */
  readonly inherited: readonly InspectedFile[];
  /** Installed packages, by the databases of apk and dpkg. */
  readonly installed: readonly Component[];
}

/**
 * Returns the non-empty files and the installed packages of an image.
 * @throws ARCHIVE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function inspectImage(
  store: Store,
  { manifest: { layers } }: Image,
  base?: BaseImage,
  { signal, parseCopyright }: InspectOptions = {},
): Promise<Inspection> {
  const depth = base?.image.manifest.layers.length ?? 0;
  const own = await inspectLayers(store, layers.slice(depth), signal);
  const lower = base === undefined ? [] : await lowerEntries(store, base, own, signal);
  const image = await ImageEntries.flatten(store, layers, [...lower, ...own]);
  const [files, inherited]: [InspectedFile[], InspectedFile[]] = [[], []];
  const databases = new Map<RawPath, string>();
  for (const node of filesOf(image.tree, base?.isDescribed === true ? depth : 0)) {
    const { path, type, layer } = node;
    const found = image.fileAt(node);
    if (found === undefined) continue;
    const { size, hash, isElf, go, kernel } = found;
    const list = layer < depth ? inherited : files;
    if (type === 'file') list.push({ path, size, hash, isElf, go, kernel });
    const text = isPackageDatabase(path) ? await image.databaseAt(node) : undefined;
    if (text !== undefined) databases.set(path, text);
  }
  const licenseOf = (name: string): ComponentLicense | undefined => {
    const text = image.copyrightOf(name)?.text;
    return text === undefined ? undefined : parseCopyright?.(text);
  };
  return { files, inherited, installed: installedPackages(databases, licenseOf) };
}

/** Returns what is needed of the base image, as the entries of each of its layers. */
async function lowerEntries(
  store: Store,
  { image, isDescribed }: BaseImage,
  own: readonly (readonly InspectedEntry[])[],
  signal: AbortSignal | undefined,
): Promise<readonly (readonly InspectedEntry[])[]> {
  const { layers } = image.manifest;
  if (own.some((list) => list.some(needsLower))) return inspectLayers(store, layers, signal);
  const first = isDescribed ? [] : await baseEntries(store, image, signal);
  return layers.map((_, index) => (index === 0 ? first : []));
}

/** Reports whether an entry says something about files of the layers below its own. */
function needsLower({ type, path }: InspectedEntry): boolean {
  return type === 'hardlink' || isPackageDatabase(path);
}

/** Returns files and hard links by layer, then by position in the layer. */
function filesOf(tree: FileTree, lowest: number): readonly TreeNode[] {
  return [...tree.walk()]
    .filter(({ type, layer }) => (type === 'file' || type === 'hardlink') && layer >= lowest)
    .toSorted((a, b) => a.layer - b.layer || (a.ordinal ?? 0) - (b.ordinal ?? 0));
}
