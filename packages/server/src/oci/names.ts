import { familiarReference, formatReference, parseReference, type Tag } from '@lkt/oci';
import { LktError } from '@lkt/core';
import { ApiError } from '../api-error.ts';

/** distribution-spec, "Pulling manifests". */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const MAX_NAME = 255;

/** A repository of the server: the images of the store with its name in short form. */
export interface Repository {
  /** The name in URLs. */
  readonly name: string;
  /**
   * Returns the store reference of a tag.
   * @throws ApiError 400
   */
  tagReference(tag: string): string;
  /** Returns the tag of a store reference; undefined if it belongs to another repository. */
  tagOf(tag: Tag): string | undefined;
}

/**
 * Returns the repository of a name.
 * @throws ApiError 400
 */
export function repositoryOf(name: string): Repository {
  if (name.length > MAX_NAME || !NAME.test(name)) throw invalid(name);
  let short: string;
  let reference: ReturnType<typeof parseReference>;
  try {
    reference = parseReference(name);
    short = familiarReference(reference);
  } catch (error) {
    if (error instanceof LktError) throw invalid(name);
    throw error;
  }
  const { domain, path } = reference;
  return {
    name,
    tagReference: (tag) => {
      if (!TAG.test(tag)) throw new ApiError(400, 'MANIFEST_INVALID', 'invalid tag');
      return formatReference({ domain, path, tag });
    },
    tagOf: ({ reference: text }) => {
      try {
        const found = parseReference(text);
        return found.tag !== undefined && familiarReference(nameOf(found)) === short
          ? found.tag
          : undefined;
      } catch (error) {
        // Other programs may use any name in the store.
        if (error instanceof LktError) return undefined;
        throw error;
      }
    },
  };
}

function nameOf({ domain, path }: ReturnType<typeof parseReference>): {
  readonly domain: string;
  readonly path: string;
} {
  return { domain, path };
}

function invalid(name: string): ApiError {
  return new ApiError(400, 'NAME_INVALID', `"${name.slice(0, MAX_NAME)}" is not a repository name`);
}
