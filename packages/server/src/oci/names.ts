import { formatReference, parseReference, type Reference } from '@lkt/oci';
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
  tagOf(reference: string): string | undefined;
}

/**
 * Returns the repository of a name.
 * @throws ApiError 400
 */
export function repositoryOf(name: string): Repository {
  if (name.length > MAX_NAME || !NAME.test(name)) throw invalid(name);
  const reference = parsed(name);
  if (reference === undefined) throw invalid(name);
  const { domain, path } = reference;
  const repository = formatReference({ domain, path });
  return {
    name,
    tagReference: (tag) => {
      if (!TAG.test(tag)) throw new ApiError(400, 'MANIFEST_INVALID', 'invalid tag');
      return formatReference({ domain, path, tag });
    },
    tagOf: (text) => {
      // Other programs may use any name in the store.
      const found = parsed(text);
      if (found === undefined) return undefined;
      const { tag, ...other } = found;
      return formatReference({ domain: other.domain, path: other.path }) === repository
        ? tag
        : undefined;
    },
  };
}

function parsed(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof LktError) return undefined;
    throw error;
  }
}

function invalid(name: string): ApiError {
  return new ApiError(400, 'NAME_INVALID', `"${name.slice(0, MAX_NAME)}" is not a repository name`);
}
