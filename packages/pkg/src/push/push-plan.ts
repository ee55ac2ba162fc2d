import { LktError } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  parseIndex,
  parseReference,
  type Platform,
  type Reference,
  type Store,
  writeIndex,
} from '@lkt/oci';
import { storeName } from '../pins/check-pin.ts';
import type { Sources } from '../sources/sources.ts';
import { renderTag } from '../pins/tag.ts';
import type { Package } from '../workspace/workspace.ts';

/** Overrides for the names of packages in a registry. */
export interface TargetOptions {
  /** Overrides `org` of build.yml: `registry.example/team`. */
  readonly org?: string | undefined;
  /** Template; overrides `tag` of build.yml. */
  readonly tag?: string | undefined;
  /** A further tag, which is never moved to another image. */
  readonly release?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A package with the images to push. */
export interface PushPlan {
  readonly item: Package;
  readonly target: Reference & { readonly tag: string };
  /** The index in the store, and those of `single`. */
  readonly indexes: readonly Descriptor[];
  /** An index of each image alone, which pins name that a machine for one platform made. */
  readonly single: readonly Descriptor[];
  readonly images: readonly Descriptor[];
}

/** Returns the name of a package in the target registry, without tag. */
export function targetName(item: Package, { org }: TargetOptions): Reference {
  return parseReference(org === undefined ? item.name : `${org}/${item.image}`);
}

/** Returns the name of a package in the target registry, with the tag of its sources. */
export function targetReference(
  item: Package,
  sources: Sources,
  options: TargetOptions,
): Reference & { readonly tag: string } {
  const { domain, path } = targetName(item, options);
  return { domain, path, tag: renderTag(options.tag ?? item.tag, sources.hash(item).hash) };
}

export async function planPush(
  item: Package,
  sources: Sources,
  options: TargetOptions & { readonly store: Store },
): Promise<PushPlan> {
  const { store } = options;
  const name = storeName(parseReference(item.name), renderTag(item.tag, sources.hash(item).hash));
  const index = await store.resolve(name);
  if (index === undefined)
    throw new LktError(
      'NOT_FOUND',
      `${familiarReference(parseReference(name))} is not in the store`,
      {
        fix: 'build it: lkt pkg build DIR',
      },
    );
  const images = parseIndex(await store.readBytes(index)).manifests;
  const single: Descriptor[] = [];
  for (const image of images) single.push(await writeIndex(store, [image]));
  const indexes = [index, ...single.filter(({ digest }) => digest !== index.digest)];
  return { item, target: targetReference(item, sources, options), indexes, single, images };
}

/** @throws NOT_COMMITTED if the package is outside git or differs from the commit */
export function requireCommitted(item: Package, sources: Sources): void {
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

/** Compares platforms by the order of `arches`, as in the package's index in the store. */
export function compareByArch({ arches }: Package): (a: Platform, b: Platform) => number {
  const place = ({ architecture }: Platform): number => {
    const at = arches.indexOf(architecture);
    return at === -1 ? arches.length : at;
  };
  return (a, b) => place(a) - place(b);
}
