import { LktError } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatReference,
  parseIndex,
  type Reference,
  type Store,
  writeIndex,
} from '@lkt/oci';
import type { BuildOptions } from '../build/build-options.ts';
import type { BuiltPackage } from '../build/built-package.ts';
import { buildPackages } from '../build/build.ts';
import { targetReference, type TargetOptions } from '../pins/tag.ts';
import type { SourceHash } from '../sources/source-hash.ts';
import { readSources, type Sources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A package with the images to push. */
export interface PushPlan {
  readonly item: Package;
  readonly target: Reference & { readonly tag: string };
  /** The index in the store, and those of `single`. */
  readonly indexes: readonly [Descriptor, ...Descriptor[]];
  /** An index of each image alone, which pins name that a machine for one platform made. */
  readonly single: readonly Descriptor[];
  readonly images: readonly Descriptor[];
}

/** Returns the index of a package in the store, by its sources, with its images. */
export async function storedIndex(
  item: Package,
  hash: SourceHash,
  store: Store,
): Promise<{ readonly index: Descriptor; readonly images: readonly Descriptor[] } | undefined> {
  const index = await store.resolve(formatReference(targetReference(item, hash)));
  return index && { index, images: parseIndex(await store.readBytes(index)).manifests };
}

/** @throws NOT_FOUND if the store lacks the package */
export async function planPush(
  item: Package,
  hash: SourceHash,
  options: TargetOptions & { readonly store: Store },
): Promise<PushPlan> {
  const { store } = options;
  const stored = await storedIndex(item, hash, store);
  if (stored === undefined) {
    const name = familiarReference(targetReference(item, hash));
    throw new LktError('NOT_FOUND', `${name} is not in the store`, {
      fix: 'build it: lkt pkg build DIR',
    });
  }
  const { index, images } = stored;
  const single: Descriptor[] = [];
  for (const image of images) single.push(await writeIndex(store, [image]));
  const others = single.filter(({ digest }) => digest !== index.digest);
  const target = targetReference(item, hash, options);
  return { item, target, indexes: [index, ...others], single, images };
}

/**
 * Reads the sources of `packages`. Those of `items` must be committed.
 * @throws NOT_COMMITTED
 */
export async function readCommitted(
  workspace: Workspace,
  items: readonly Package[],
  signal: AbortSignal | undefined,
  packages: Iterable<Package> = items,
): Promise<Sources> {
  const sources = await readSources(workspace, packages, { signal });
  for (const item of items) requireCommitted(item, sources);
  return sources;
}

/**
 * Builds packages. Their sources and those of their dependencies must be committed.
 * @throws NOT_COMMITTED
 */
export async function buildCommitted(
  workspace: Workspace,
  items: readonly Package[],
  sources: Sources,
  options: BuildOptions,
): Promise<readonly BuiltPackage[]> {
  const { packages } = await buildPackages(workspace, items, options);
  for (const { item } of packages) requireCommitted(item, sources);
  return packages;
}

/** @throws NOT_COMMITTED if the package is outside git or differs from the commit */
function requireCommitted(item: Package, sources: Sources): void {
  const { hash, committed, dirty } = sources.hash(item);
  if (committed === undefined || hash === '')
    throw new LktError('NOT_COMMITTED', `${item.name} is not in git, so it has no source hash`, {
      fix: 'commit it',
    });
  if (!dirty) return;
  const changes = sources.changes(item);
  const shown = changes.slice(0, 10).map((path) => `  ${path}`);
  if (changes.length > shown.length) shown.push(`  and ${changes.length - shown.length} more`);
  throw new LktError('NOT_COMMITTED', `${item.name} has uncommitted changes`, {
    detail: shown.join('\n'),
    fix: 'commit them',
  });
}
