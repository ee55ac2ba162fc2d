import { type Digest, isDigest, LktError } from '@lkt/core';

/** An image reference: registry domain, repository path, and a tag, a digest or both. */
export interface Reference {
  /**
   * The registry; undefined if the text names none. Such a name refers to a local image or package:
   * no registry is asked for it. The store has it below Docker's default, docker.io.
   */
  readonly domain: string | undefined;
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

/** The registry under whose name the store has what names no registry. */
export const DOCKER_HUB = 'docker.io';

/**
 * Parses `[domain/]path[:tag][@digest]`. Without a domain and on docker.io, `library/` precedes a
 * path of one part, as for Docker. Adds no tag.
 * @throws REFERENCE_INVALID
 * @example
 * ```ts
 * parseReference('docker.io/alpine:3.22'); // { domain: 'docker.io', path: 'library/alpine', … }
 * parseReference('lkt/sshd'); // { domain: undefined, path: 'lkt/sshd', … }
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
  const { domain, path } = splitName(hasTag ? beforeDigest.slice(0, colon) : beforeDigest);
  if (domain !== undefined && !DOMAIN.test(domain))
    throw invalid(text, `"${domain}" is not a registry name`);
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
  if (nameOf({ domain, path }).length > MAX_NAME)
    throw invalid(text, `its name is longer than ${MAX_NAME} characters`);
  return { domain, path, tag, digest };
}

/** Returns the full form with domain, which is the key of a store. */
export function formatReference(reference: Reference): string {
  return `${nameOf(reference)}${suffix(reference)}`;
}

/** Returns the short form as users write it, without Docker's defaults. */
export function familiarReference(reference: Reference): string {
  const { domain = DOCKER_HUB, path } = reference;
  const name =
    domain !== DOCKER_HUB
      ? `${domain}/${path}`
      : /^library\/[^/]+$/.test(path)
        ? path.slice('library/'.length)
        : path;
  return `${name}${suffix(reference)}`;
}

function nameOf({ domain = DOCKER_HUB, path }: Pick<Reference, 'domain' | 'path'>): string {
  return `${domain}/${path}`;
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function splitName(name: string): Pick<Reference, 'domain' | 'path'> {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const named = first === 'index.docker.io' ? DOCKER_HUB : first;
  const domain = isDomain ? named : undefined;
  const path = isDomain ? name.slice(slash + 1) : name;
  const isOfLibrary = (domain ?? DOCKER_HUB) === DOCKER_HUB && !path.includes('/');
  return { domain, path: isOfLibrary ? `library/${path}` : path };
}

function invalid(text: string, why: string, fix?: string): LktError {
  return new LktError(
    'REFERENCE_INVALID',
    `"${text}" is not an image reference: ${why}`,
    fix === undefined ? {} : { fix },
  );
}
