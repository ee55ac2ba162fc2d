import { familiarReference, formatReference, parseReference, type Tag } from '@lkt/oci';
import { LktError } from '@lkt/core';
import { Refusal } from '../refusal.ts';

/** distribution-spec, "Pulling manifests" */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const MAX_NAME = 255;

/** A repository of the server, which is what the store calls by the same name in its short form. */
export interface Repository {
  /** As it is in addresses. */
  readonly name: string;
  /** The name in the store of a tag. @throws Refusal */
  tagged(tag: string): string;
  /** The tag of a name in the store, if it is of this repository. */
  tagOf(tag: Tag): string | undefined;
}

/** @throws Refusal */
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
    tagged: (tag) => {
      if (!TAG.test(tag)) throw new Refusal(400, 'MANIFEST_INVALID', 'that is no tag');
      return formatReference({ domain, path, tag });
    },
    tagOf: ({ reference: text }) => {
      try {
        const found = parseReference(text);
        return found.tag !== undefined && familiarReference(nameOf(found)) === short
          ? found.tag
          : undefined;
      } catch (error) {
        // Other programs may have put any name into the store.
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

function invalid(name: string): Refusal {
  return new Refusal(400, 'NAME_INVALID', `"${name.slice(0, MAX_NAME)}" is not a repository`);
}
