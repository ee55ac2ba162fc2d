import { type Digest, LktError } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  loadImage,
  parseReference,
  type Platform,
  type Reference,
  type Store,
} from '@lkt/oci';
import { indexManifests, missingPin, type ReferenceProblem } from '../pins/check-pin.ts';

/**
 * Pulls an image by digest, and names it in the store.
 * @param isNamed whether the store has the digest under this name; otherwise the name must be
 * verified
 */
export type FetchImage = (
  reference: Reference & { readonly digest: Digest },
  platforms: readonly Platform[],
  isNamed: boolean,
) => Promise<void>;

/**
 * Returns the violation of a trust policy by an image that is not a package of the workspace.
 * Called before the image is pulled, so only name and digest are known.
 */
export type RequireTrusted = (
  reference: Reference & { readonly digest: Digest },
) => Promise<ReferenceProblem | undefined>;

/** Access to images that are not packages of the workspace. */
export interface OtherImages {
  readonly store: Store;
  /** Default: the store must have the images. */
  readonly fetchImage?: FetchImage | undefined;
  /** Default: every pinned image is accepted. */
  readonly requireTrusted?: RequireTrusted | undefined;
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
  { store, fetchImage, requireTrusted }: OtherImages,
): Promise<ReferenceProblem | undefined> {
  const { digest } = reference;
  if (digest === undefined) return missingPin(reference);
  const refused = await requireTrusted?.({ ...reference, digest });
  if (refused !== undefined) return refused;
  const text = familiarReference(reference);
  const { domain, path } = reference;
  const has = await store.has(digest);
  const name = familiarReference({ domain, path });
  const isNamed = has && (await namesOf(store, digest, name)).length > 0;
  if (isNamed && (fetchImage === undefined || (await hasAllBlobs(store, digest, platforms))))
    return undefined;
  if (fetchImage !== undefined) {
    try {
      await fetchImage({ ...reference, digest }, platforms, isNamed);
      return undefined;
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      return {
        code: error.code,
        message: `${text} is neither in the store nor a package of this workspace, and pulling it failed: ${error.message}`,
        fix: error.fix ?? CHECK,
      };
    }
  }
  if (!has) {
    return {
      code: 'NOT_FOUND',
      message: `${text} is neither in the store nor a package of this workspace`,
      fix: CHECK,
    };
  }
  const names = await namesOf(store, digest);
  const what = names.length === 0 ? 'has no name for it' : `has it as ${names.join(', ')}`;
  return {
    code: 'NOT_FOUND',
    message: `${text} has the digest of another image: the store ${what}`,
    fix: CHECK,
  };
}

const CHECK = 'check the name and the digest';

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
    if (await containsManifest(store, descriptor, digest)) names.add(name);
  }
  return [...names];
}

/** Reports whether the store has all blobs of the image for these platforms. */
async function hasAllBlobs(
  store: Store,
  digest: Digest,
  platforms: readonly Platform[],
): Promise<boolean> {
  try {
    for (const platform of platforms) {
      const { manifest } = await loadImage(store, digest, platform);
      for (const layer of manifest.layers) if (!(await store.has(layer.digest))) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

/** Reports whether a manifest is, or contains, the one with this digest. */
async function containsManifest(
  store: Store,
  { digest }: Descriptor,
  wanted: Digest,
): Promise<boolean> {
  if (digest === wanted) return true;
  const manifests = await indexManifests(store, digest);
  return manifests.some((manifest) => manifest.digest === wanted);
}

/** Returns the name without tag and digest, or undefined for a name that another program wrote. */
function nameOf(text: string): string | undefined {
  try {
    const { domain, path } = parseReference(text);
    return familiarReference({ domain, path });
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return undefined;
  }
}
