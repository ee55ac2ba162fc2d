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
 * Brings an image into the store, by its digest, and gives it its name there.
 * @param isNamed whether the store has the digest under this name; else it has to be found out that the name is right
 */
export type FetchImage = (
  reference: Reference & { readonly digest: Digest },
  platforms: readonly Platform[],
  isNamed: boolean,
) => Promise<void>;

/**
 * Whether an image that no package of the workspace gives may be used at all. Asked before it is pulled, so nothing but its
 * name and digest are known.
 */
export type RequireTrusted = (
  reference: Reference & { readonly digest: Digest },
) => Promise<ReferenceProblem | undefined>;

/** Where images come from that no package of the workspace gives. */
export interface OtherImages {
  readonly store: Store;
  /** By default the store has to have them. */
  readonly fetchImage?: FetchImage | undefined;
  /** By default any that a digest names will do. */
  readonly requireTrusted?: RequireTrusted | undefined;
}

/**
 * Checks a reference to an image that no package of the workspace gives: the store must have it under that name, or get
 * it by `fetchImage`. A digest alone would make any image pass for any other that is in the store.
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
  if (isNamed && (fetchImage === undefined || (await isWhole(store, digest, platforms))))
    return undefined;
  if (fetchImage !== undefined) {
    try {
      await fetchImage({ ...reference, digest }, platforms, isNamed);
      return undefined;
    } catch (error) {
      if (!(error instanceof LktError)) throw error;
      return {
        code: error.code,
        message: `${text} is not in the store, no package of this workspace gives it, and it cannot be pulled: ${error.message}`,
        fix: error.fix ?? CHECK,
      };
    }
  }
  if (!has) {
    return {
      code: 'NOT_FOUND',
      message: `${text} is not in the store, and no package of this workspace gives it`,
      fix: CHECK,
    };
  }
  const names = await namesOf(store, digest);
  const what =
    names.length === 0 ? 'has it under no name' : `has this digest as ${names.join(', ')}`;
  return {
    code: 'NOT_FOUND',
    message: `${text} is not what it says: the store ${what}`,
    fix: CHECK,
  };
}

const CHECK = 'check the name and the digest';

/**
 * The names of the store, without tag, that stand for this digest: of an index, or of an image in it.
 * @param only asks of this name alone: an index is read for each that is asked of
 */
async function namesOf(store: Store, digest: Digest, only?: string): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const { reference, descriptor } of await store.tags()) {
    const name = nameOf(reference);
    if (name === undefined || names.has(name) || (only !== undefined && name !== only)) continue;
    if (await leadsTo(store, descriptor, digest)) names.add(name);
  }
  return [...names];
}

/** Whether the store has all of the image for these platforms. */
async function isWhole(
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

/** Whether a name of the store stands for this digest: of an index, or of an image in it. */
async function leadsTo(store: Store, { digest }: Descriptor, wanted: Digest): Promise<boolean> {
  if (digest === wanted) return true;
  const manifests = await indexManifests(store, digest);
  return manifests.some((manifest) => manifest.digest === wanted);
}

/** The name without tag and digest; other programs may have put anything there. */
function nameOf(text: string): string | undefined {
  try {
    const { domain, path } = parseReference(text);
    return familiarReference({ domain, path });
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return undefined;
  }
}
