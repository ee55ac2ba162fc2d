import { type Digest, LktError, type LktErrorCode } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  parseIndex,
  type Platform,
  type Reference,
  type Store,
  writeIndex,
} from '@lkt/oci';
import type { BuiltPackage } from '../build/built-package.ts';
import type { Package } from '../workspace/workspace.ts';

/** A problem with a reference, with its fix. */
export interface ReferenceProblem {
  readonly code: LktErrorCode;
  readonly message: string;
  readonly fix: string;
  /** More lines for the error message. */
  readonly detail?: string;
}

/** Returns the pin of a package, `org/image:<source hash>@<digest>`, or undefined outside git. */
export function pinOf({ item, hash, index, tagSuffix }: BuiltPackage): string | undefined {
  return hash.committed === undefined
    ? undefined
    : `${item.name}:${hash.committed}${tagSuffix}@${index.digest}`;
}

/**
 * Checks a reference to a package of the workspace against the images built from its sources. The
 * index may contain images for more or fewer platforms than were built; only the images count.
 * @returns undefined if the pin is correct
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
      message: `the pin of ${item.name} is stale: it has ${reference.digest}, the sources build to ${index.digest}`,
      fix: item.collection?.epochFix ?? PIN,
    };
  }
  if (
    reference.tag !== undefined &&
    hash.committed !== undefined &&
    reference.tag !== hash.committed
  ) {
    return {
      code: 'PIN_STALE',
      message: `the pin of ${item.name} is stale: its tag is ${reference.tag}, the source hash is ${hash.committed} (the digest is still ${index.digest})`,
      fix: PIN,
    };
  }
  return undefined;
}

async function isIndexOf(digest: Digest, built: BuiltPackage, store: Store): Promise<boolean> {
  const { images, others, item } = built;
  const known = sortByArch(item, [...images, ...others]);
  // The index of a subset follows from its images, so it can be written now.
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
      const same = images.find((image) => hasPlatform(image, platform));
      return same === undefined || same.digest === manifest;
    }) &&
    images.every((image) => manifests.some((manifest) => manifest.digest === image.digest))
  );
}

/** Returns the manifests of an index in the store; empty if it is missing or not an index. */
export async function indexManifests(store: Store, digest: Digest): Promise<readonly Descriptor[]> {
  try {
    return parseIndex(await store.readBytes({ digest })).manifests;
  } catch (error) {
    if (error instanceof LktError && ['NOT_FOUND', 'IMAGE_INVALID'].includes(error.code)) return [];
    throw error;
  }
}

export function hasPlatform({ platform }: Descriptor, wanted: Platform): boolean {
  return platform !== undefined && formatPlatform(platform) === formatPlatform(wanted);
}

/** Compares platforms by the order of a package's `arches`, as in its index; others come last. */
export function compareByArch({ arches }: Package): (a?: Platform, b?: Platform) => number {
  const place = (platform: Platform | undefined): number => {
    const at = arches.indexOf(platform?.architecture ?? '');
    return at === -1 ? arches.length : at;
  };
  return (a, b) => place(a) - place(b);
}

/** Sorts images of a package as in its index. */
export function sortByArch(item: Package, images: readonly Descriptor[]): readonly Descriptor[] {
  const compare = compareByArch(item);
  return images.toSorted((a, b) => compare(a.platform, b.platform));
}

function subsets<T>(items: readonly T[]): readonly (readonly T[])[] {
  const count = 2 ** items.length;
  return Array.from({ length: count - 1 }, (_, mask) =>
    items.filter((_item, index) => Math.floor((mask + 1) / 2 ** index) % 2 === 1),
  );
}

/** Returns the problem of a reference as an error, without a place. */
export function referenceError({ code, message, ...options }: ReferenceProblem): LktError {
  return new LktError(code, message, options);
}

const PIN = 'run: lkt pin';

/** Returns the problem of a reference without a digest: PIN_MISSING. */
export function missingPin(reference: Reference): ReferenceProblem {
  return {
    code: 'PIN_MISSING',
    message: `${familiarReference(reference)} has no digest`,
    fix: PIN,
  };
}
