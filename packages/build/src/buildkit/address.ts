import { LktError } from '@lkt/core';

/** Where BuildKit is, and the program that talks to it. */
export type Builder =
  | { readonly program: 'buildctl'; readonly address: string }
  | { readonly program: 'docker'; readonly name: string };

const FORMS = 'tcp://HOST:PORT, unix:///PATH, docker-container://NAME or buildx:NAME';

/**
 * Parses the address of a builder. The words after it are never options: an address starts with its scheme, and the
 * name of a buildx builder with a letter or a digit.
 * @throws LktError USAGE_INVALID
 */
export function parseBuilder(text: string): Builder {
  const name = /^buildx:([A-Za-z0-9][\w.-]*)$/.exec(text)?.[1];
  if (name !== undefined) return { program: 'docker', name };
  if (/^(tcp:\/\/[^\s/]+:\d+|unix:\/\/\/\S+|docker-container:\/\/[A-Za-z0-9][\w.-]*)$/.test(text))
    return { program: 'buildctl', address: text };
  throw new LktError('USAGE_INVALID', `"${text}" is not the address of a builder`, {
    fix: `write ${FORMS}`,
  });
}
