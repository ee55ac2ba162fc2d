import { type Digest, LktError, type LktErrorCode } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  formatReference,
  parseIndex,
  type Platform,
  type Reference,
  type Store,
  writeIndex,
} from '@lkt/oci';
import type { BuiltPackage } from '../build/built-package.ts';
import type { Package } from '../workspace/workspace.ts';

/** What is wrong with a reference, and what to do about it. */
export interface ReferenceProblem {
  readonly code: LktErrorCode;
  readonly message: string;
  readonly fix: string;
  /** More lines, for people. */
  readonly detail?: string;
}

/** `org/image:<source hash>@<digest>`: the reference that names a package as it is now. undefined outside git. */
export function pinOf({ item, hash, index, tagSuffix }: BuiltPackage): string | undefined {
  return hash.committed === undefined
    ? undefined
    : `${item.name}:${hash.committed}${tagSuffix}@${index.digest}`;
}

/**
 * Checks a reference to a package of the workspace against what that package gives now. The digest may be of an index
 * that has images for other platforms too, or not for all that were built: what counts are the images.
 */
export async function checkPin(
  reference: Reference,
  built: BuiltPackage,
  store: Store,
): Promise<ReferenceProblem | undefined> {
  if (reference.digest === undefined) return missingPin(reference);
  const { item, hash, index } = built;
  if (reference.digest !== index.digest && !(await isIndexOf(reference.digest, built, store))) {
    return {
      code: 'PIN_STALE',
      message: `the pin of ${item.name} is stale: it says ${reference.digest}, the sources give ${index.digest}`,
      fix: PIN,
    };
  }
  if (
    reference.tag !== undefined &&
    hash.committed !== undefined &&
    reference.tag !== hash.committed
  ) {
    return {
      code: 'PIN_STALE',
      message: `the pin of ${item.name} is stale: its tag is ${reference.tag}, the sources have ${hash.committed} (${index.digest} as before)`,
      fix: PIN,
    };
  }
  return undefined;
}

async function isIndexOf(digest: Digest, built: BuiltPackage, store: Store): Promise<boolean> {
  const { images, others, item } = built;
  const known = inOrder(item, [...images, ...others]);
  // An index of some of the images follows from them, so it is made when it is not there.
  if (known.length > 1) {
    for (const some of subsets(known)) {
      const index = await writeIndex(store, some);
      if (index.digest === digest) return true;
    }
  }
  if (!(await store.has(digest))) return false;
  const manifests = await indexManifests(store, digest);
  return (
    manifests.length > 0 &&
    manifests.every(({ digest: manifest, platform }) => {
      if (platform === undefined || !item.arches.includes(platform.architecture)) return false;
      const same = images.find((image) => samePlatform(image, platform));
      return same === undefined || same.digest === manifest;
    }) &&
    images.every((image) => manifests.some((manifest) => manifest.digest === image.digest))
  );
}

/** The manifests of an index in the store; none for anything else. */
export async function indexManifests(store: Store, digest: Digest): Promise<readonly Descriptor[]> {
  try {
    return parseIndex(await store.readBytes({ digest })).manifests;
  } catch (error) {
    if (error instanceof LktError && ['NOT_FOUND', 'IMAGE_INVALID'].includes(error.code)) return [];
    throw error;
  }
}

export function samePlatform({ platform }: Descriptor, wanted: Platform): boolean {
  return platform !== undefined && formatPlatform(platform) === formatPlatform(wanted);
}

/** Images of a package in the order of its `arches`, which is theirs in an index. */
export function inOrder({ arches }: Package, images: readonly Descriptor[]): readonly Descriptor[] {
  const place = ({ platform }: Descriptor): number => arches.indexOf(platform?.architecture ?? '');
  return images.toSorted((a, b) => place(a) - place(b));
}

function subsets<T>(items: readonly T[]): readonly (readonly T[])[] {
  const count = 2 ** items.length;
  return Array.from({ length: count - 1 }, (_, mask) =>
    items.filter((_item, index) => Math.floor((mask + 1) / 2 ** index) % 2 === 1),
  );
}

export function problemError({ code, message, ...options }: ReferenceProblem): LktError {
  return new LktError(code, message, options);
}

const PIN = 'run: lkt pin';

export function missingPin(reference: Reference): ReferenceProblem {
  return {
    code: 'PIN_MISSING',
    message: `${familiarReference(reference)} has no digest`,
    fix: PIN,
  };
}

/** The name in the store of a package under a tag. */
export function storeName({ domain, path }: Reference, tag: string): string {
  return formatReference({ domain, path, tag });
}
