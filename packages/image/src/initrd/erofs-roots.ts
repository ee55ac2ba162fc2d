import { parentPath, type RawPath } from '@lkt/oci';
import type { Root, RootEntry } from '../tree/merge.ts';
import { MANIFEST_PATH } from './manifest.ts';
import { isBoot } from './segment.ts';

/** Directory of the file systems in an initramfs. */
export const ROOTS: RawPath = 'roots';

/** Lists the file systems in mount order. */
export const ROOTS_PATH: RawPath = 'usr/share/lkt/roots';

/** A directory of an image that becomes a file system of its own. */
export interface MountedRoot {
  readonly target: RawPath;
  /** Origin, for messages. */
  readonly label: string;
  /** Paths are relative to the target, whose own path is empty. */
  readonly entries: readonly RootEntry[];
}

/** Bundles of containers; they change more often than the root. */
const BUNDLES: RawPath = 'containers';

/**
 * Splits an image into file systems, in mount order: the root, the container bundles, and the root
 * of each container image. Leaves out the manifest.
 */
export function mountedRoots(root: Root): readonly MountedRoot[] {
  const labels = new Map([['', 'the root']]);
  if (hasDirectory(root, BUNDLES)) labels.set(BUNDLES, 'the bundles of containers');
  for (const { segment, label, isRoot } of root.parts)
    if (!isRoot && segment.startsWith(`${BUNDLES}/`) && hasDirectory(root, segment))
      labels.set(segment, labels.get(segment) ?? label);
  const roots = new Map<RawPath, RootEntry[]>([...labels.keys()].map((target) => [target, []]));
  const owners = new Map<RawPath, RawPath>();
  const ownerOf = (directory: RawPath): RawPath => {
    const known = owners.get(directory);
    if (known !== undefined) return known;
    const owner = roots.has(directory) ? directory : ownerOf(parentPath(directory));
    owners.set(directory, owner);
    return owner;
  };
  for (const entry of root.entries.values()) {
    const { path } = entry;
    if (isBoot(path) || path === MANIFEST_PATH) continue;
    const owner = ownerOf(parentPath(path));
    const below = owner === '' ? path : path.slice(owner.length + 1);
    roots.get(owner)?.push({ ...entry, path: below });
    roots.get(path)?.push({ ...entry, path: '' });
  }
  return [...roots]
    .map(([target, entries]) => ({ target, label: labels.get(target) ?? '', entries }))
    .toSorted((a, b) => (a.target < b.target ? -1 : 1));
}

function hasDirectory({ entries }: Root, path: RawPath): boolean {
  return entries.get(path)?.type === 'directory';
}
