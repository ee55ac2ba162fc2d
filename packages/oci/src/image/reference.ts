import { type Digest, isDigest, LktError } from '@lkt/core';

/** An image reference: registry domain, repository path, and a tag, a digest or both. */
export interface Reference {
  readonly domain: string;
  /**
   * Set if the text names no registry, so `domain` is Docker's default. Such a name is of a local
   * image or package: no registry is asked for it.
   */
  readonly isRegistryImplied?: true;
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

// https://github.com/distribution/reference, regexp.go.
const DOMAIN_PART = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(
  `^(?:${DOMAIN_PART}(?:\\.${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
);
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const MAX_NAME = 255;

/**
 * Parses `[domain/]path[:tag][@digest]` with Docker's defaults: the domain docker.io, and there
 * `library/` for a path of one part. Adds no tag.
 * @throws REFERENCE_INVALID
 * @example
 * ```ts
 * parseReference('alpine:3.22'); // { domain: 'docker.io', path: 'library/alpine', tag: '3.22', … }
 * ```
 */
export function parseReference(text: string): Reference {
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest))
    throw invalid(text, `"${digest}" is not a sha256 or sha512 digest`);
  const beforeDigest = at === -1 ? text : text.slice(0, at);
  const colon = beforeDigest.lastIndexOf(':');
  const hasTag = colon > beforeDigest.lastIndexOf('/');
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined;
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, `"${tag}" is not a tag`);
  const { domain, path, isImplied } = splitName(
    hasTag ? beforeDigest.slice(0, colon) : beforeDigest,
  );
  if (!DOMAIN.test(domain)) throw invalid(text, `"${domain}" is not a registry name`);
  if (/^[0-9a-f]{64}$/.test(beforeDigest))
    throw invalid(text, 'it is a bare digest', `write it as name@sha256:${beforeDigest}`);
  for (const part of path.split('/')) {
    if (PATH_PART.test(part)) continue;
    const fix = PATH_PART.test(part.toLowerCase()) ? 'write it in lower case' : undefined;
    throw invalid(
      text,
      part === '' ? 'a part of its name is empty' : `"${part}" is not a repository name`,
      fix,
    );
  }
  if (domain.length + 1 + path.length > MAX_NAME)
    throw invalid(text, `its name is longer than ${MAX_NAME} characters`);
  return {
    domain,
    path,
    tag,
    digest,
    ...(isImplied && { isRegistryImplied: true }),
  };
}

/** Returns the full form with domain, which is the key of a store. */
export function formatReference(reference: Reference): string {
  return `${reference.domain}/${reference.path}${suffix(reference)}`;
}

/** Returns the short form as users write it, without Docker's defaults. */
export function familiarReference(reference: Reference): string {
  const { domain, path } = reference;
  const name =
    domain !== 'docker.io'
      ? `${domain}/${path}`
      : /^library\/[^/]+$/.test(path)
        ? path.slice('library/'.length)
        : path;
  return `${name}${suffix(reference)}`;
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function splitName(name: string): { domain: string; path: string; isImplied: boolean } {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const domain = isDomain && first !== 'index.docker.io' ? first : 'docker.io';
  const path = isDomain ? name.slice(slash + 1) : name;
  const isOfLibrary = domain === 'docker.io' && !path.includes('/');
  return { domain, path: isOfLibrary ? `library/${path}` : path, isImplied: !isDomain };
}

function invalid(text: string, why: string, fix?: string): LktError {
  return new LktError(
    'REFERENCE_INVALID',
    `"${text}" is not an image reference: ${why}`,
    fix === undefined ? {} : { fix },
  );
}
