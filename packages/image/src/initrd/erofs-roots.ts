import { parentPath, type RawPath } from '@lkt/oci';
import type { Root, RootEntry } from '../tree/merge.ts';
import { MANIFEST_PATH } from './manifest.ts';
import { isBoot } from './segment.ts';

/** Where the file systems are in an initramfs. */
export const ROOTS: RawPath = 'roots';

/** The list of them, in the order in which init mounts them. */
export const ROOTS_PATH: RawPath = 'usr/share/lkt/roots';

/** A directory of an image whose content is a file system of its own. */
export interface MountedRoot {
  readonly target: RawPath;
  /** For messages: what it is from. */
  readonly label: string;
  /** With paths below the target; that of the target itself is empty. */
  readonly entries: readonly RootEntry[];
}

/** The bundles of containers, which change more often than the root. */
const BUNDLES: RawPath = 'containers';

/**
 * Cuts an image into what is mounted, each before what is mounted in it: the root, the bundles of the containers, and the
 * root of each image that has one of its own. The list of all paths is left out.
 */
export function mountedRoots(root: Root): readonly MountedRoot[] {
  const labels = new Map([
    ['', 'the root'],
    ...(hasDirectory(root, BUNDLES) ? [BUNDLES_LABEL] : []),
  ]);
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

const BUNDLES_LABEL = [BUNDLES, 'the bundles of containers'] as const;

function hasDirectory({ entries }: Root, path: RawPath): boolean {
  return entries.get(path)?.type === 'directory';
}
