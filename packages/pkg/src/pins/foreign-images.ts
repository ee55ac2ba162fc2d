import { LktError, type SourceFile, sourceError } from '@lkt/core';
import type { Reference } from '@lkt/oci';
import type { ImageUse } from '../build/recipe.ts';

/** Access to the tags of images that are not of the workspace. */
export interface ForeignImages {
  /** Returns the digest that a tag has, or `UNKNOWN_DIGEST`. */
  readonly resolveTag: (reference: Reference) => Promise<string>;
  /** Resolve the tags of references that already have a digest. */
  readonly update?: boolean | undefined;
}

/**
 * Returns a foreign reference with the digest of its tag, `latest` if it has none.
 * @param text as written
 * @returns undefined for one that stays: without `update`, each that has a digest; a digest without
 * a tag is always meant
 * @throws the errors of `resolveTag`
 */
export async function pinForeign(
  text: string,
  { digest, tag, ...name }: Reference,
  { resolveTag, update = false }: ForeignImages,
): Promise<string | undefined> {
  if (digest !== undefined && (!update || tag === undefined)) return undefined;
  const now = await resolveTag({ ...name, tag: tag ?? 'latest' });
  const written = text.split('@')[0] ?? text;
  return `${tag === undefined ? `${written}:latest` : written}@${now}`;
}

/**
 * Returns the pin of a foreign image in a Dockerfile; undefined for one that stays.
 * @throws the errors of `resolveTag`, at the reference
 */
export async function foreignPin(
  file: SourceFile,
  { text, parsed, position, length, trigger, similarStage }: ImageUse,
  foreign: ForeignImages | undefined,
): Promise<string | undefined> {
  // The base image of the ONBUILD trigger is written here, not the image that the trigger names.
  if (foreign === undefined || trigger !== undefined) return undefined;
  try {
    return await pinForeign(text, parsed, foreign);
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    const { code, message, cause } = error;
    const fix = similarStage === undefined ? error.fix : `did you mean the stage ${similarStage}?`;
    throw sourceError(code, file, position, message, { cause, length, fix });
  }
}
