import { type Digest, LktError, undefinedIf } from '@lkt/core';
import {
  familiarReference,
  formatReference,
  loadImage,
  parseReference,
  type Platform,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { BuiltPackage } from './built-package.ts';
import { checkPin, indexManifests, missingPin, type ReferenceProblem } from '../pins/check-pin.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** A reference with a digest. */
type PinnedReference = Reference & { readonly digest: Digest };

/** Access to images that are not packages of the workspace. */
export interface OtherImages {
  readonly store: Store;
  /**
   * Pulls an image by digest, and names it in the store. Without it, the store must have the
   * images.
   * @param isNamed whether the store has the digest under this name; otherwise the name must be
   * verified
   */
  readonly fetchImage?: (
    reference: PinnedReference,
    platforms: readonly Platform[],
    isNamed: boolean,
  ) => Promise<void>;
  /**
   * Reports whether the registry of an image has it; true if that is unknown. Without it, no
   * registry is asked.
   */
  readonly hasImage?: (reference: PinnedReference) => Promise<boolean>;
  /**
   * Returns the violation of a trust policy by an image. Called before the image is pulled, so only
   * name and digest are known. Without it, every pinned image may be used.
   * @param item the package that the image belongs to, whose collection may have a policy
   */
  readonly requireTrusted?: (
    reference: PinnedReference,
    workspace: Workspace,
    item?: Package,
  ) => Promise<ReferenceProblem | undefined>;
}

/**
 * Checks a reference to an image: to a package of the workspace that was built, or to another one.
 * @param item the package that is named, also if its image was taken from a collection's registry
 * @returns undefined if the reference is correct and the image is in the store now
 */
export async function checkReference(
  reference: Reference,
  built: BuiltPackage | undefined,
  platforms: readonly Platform[],
  tools: OtherImages & { readonly workspace: Workspace },
  item?: Package,
): Promise<ReferenceProblem | undefined> {
  if (built !== undefined) return checkPin(reference, built, tools.store);
  if (item === undefined) return checkOther(reference, platforms, tools);
  // The store has it under this workspace's name for the collection.
  const { tag, digest } = reference;
  return checkOther({ ...parseReference(item.name), tag, digest }, platforms, tools, item);
}

/**
 * Checks a reference to an image that is not a package of the workspace: the store must have the
 * digest under this name, or `fetchImage` must pull it. The digest alone is not enough, because any
 * image in the store would pass for any other.
 * @returns undefined if the image is in the store now
 */
export async function checkOther(
  reference: Reference,
  platforms: readonly Platform[],
  tools: OtherImages & { readonly workspace: Workspace },
  item?: Package,
): Promise<ReferenceProblem | undefined> {
  const { store, fetchImage, requireTrusted, workspace } = tools;
  const { domain, path, digest } = reference;
  if (digest === undefined) return missingPin(reference);
  const pinned = { ...reference, digest };
  const located = { ...workspace.locate(reference), digest };
  const refused = await requireTrusted?.(located, workspace, item);
  if (refused !== undefined) return (await missingImage(located, workspace, tools)) ?? refused;
  const has = await store.has(digest);
  const name = familiarReference({ domain, path });
  const isNamed = has && (await namesOf(store, digest, name)).length > 0;
  if (isNamed && (fetchImage === undefined || (await hasAllBlobs(store, digest, platforms))))
    return undefined;
  const text = familiarReference(reference);
  const missing = missingText(reference);
  if (fetchImage !== undefined) {
    try {
      await fetchImage(pinned, platforms, isNamed);
      return undefined;
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      const message = `${missing}, and pulling it failed: ${error.message}`;
      return { code: error.code, message, fix: error.fix ?? MISSING_FIX };
    }
  }
  if (!has) return { code: 'NOT_FOUND', message: missing, fix: MISSING_FIX };
  const names = await namesOf(store, digest);
  const what = names.length === 0 ? 'has no name for it' : `has it as ${names.join(', ')}`;
  const message = `${text} has the digest of another image: the store ${what}`;
  return { code: 'NOT_FOUND', message, fix: MISSING_FIX };
}

const MISSING_FIX = 'check the name and the digest';

function missingText(reference: Reference): string {
  return `${familiarReference(reference)} is neither in the store nor a package of this workspace`;
}

/**
 * Returns the error for a missing image, which explains its missing signature. Pulls nothing.
 * @returns undefined if the store or its registry has it
 */
export async function missingImage(
  reference: PinnedReference,
  workspace: Workspace,
  { store, hasImage }: Pick<OtherImages, 'hasImage' | 'store'>,
): Promise<ReferenceProblem | undefined> {
  const { domain, path, digest } = reference;
  const has = await store.has(digest);
  const unknown = workspace.missingPackage(reference);
  if (unknown !== undefined) {
    // The digest may be that of another package.
    const name = familiarReference({ domain, path });
    const isNamed = has && (await namesOf(store, digest, name)).length > 0;
    if (!isNamed)
      return { code: 'NOT_FOUND', message: unknown.message, fix: unknown.fix ?? MISSING_FIX };
  }
  if (has) return undefined;
  const missing = missingText(reference);
  if (hasImage === undefined) return { code: 'NOT_FOUND', message: missing, fix: MISSING_FIX };
  if (reference.domain === undefined)
    return {
      code: 'NOT_FOUND',
      message: `${missing}, and names no registry`,
      fix: `write the registry, such as ${formatReference(reference)}, or add a collection with the package to lkt.yml`,
    };
  if (await hasImage(reference)) return undefined;
  const message = `${missing}, and its registry does not have it`;
  return { code: 'NOT_FOUND', message, fix: MISSING_FIX };
}

/** Reports whether the store has all of an image, under this name. */
export async function hasNamed(
  store: Store,
  { domain, path, digest }: PinnedReference,
  platforms: readonly Platform[],
): Promise<boolean> {
  if (!(await store.has(digest))) return false;
  const names = await namesOf(store, digest, familiarReference({ domain, path }));
  return names.length > 0 && (await hasAllBlobs(store, digest, platforms));
}

/**
 * Returns the names in the store, without tag, of an index with this digest or with an image of
 * this digest.
 * @param only checks this name alone, which reads fewer indexes
 */
async function namesOf(store: Store, digest: Digest, only?: string): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const { reference, descriptor } of await store.tags()) {
    const name = nameOf(reference);
    if (name === undefined || names.has(name) || (only !== undefined && name !== only)) continue;
    const manifests = [descriptor, ...(await indexManifests(store, descriptor.digest))];
    if (manifests.some((manifest) => manifest.digest === digest)) names.add(name);
  }
  return [...names];
}

/** Reports whether the store has all blobs of the image for these platforms. */
async function hasAllBlobs(
  store: Store,
  digest: Digest,
  platforms: readonly Platform[],
): Promise<boolean> {
  for (const platform of platforms) {
    const image = await loadImage(store, digest, platform).catch(undefinedIf('NOT_FOUND'));
    if (image === undefined) return false;
    for (const layer of image.manifest.layers) if (!(await store.has(layer.digest))) return false;
  }
  return true;
}

/** Returns the name without tag and digest, or undefined for a name that another program wrote. */
export function nameOf(text: string): string | undefined {
  try {
    const { domain, path } = parseReference(text);
    return familiarReference({ domain, path });
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return undefined;
  }
}
