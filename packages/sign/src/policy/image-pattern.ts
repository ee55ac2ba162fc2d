import { LktError } from '@lkt/core';
import { DOCKER_HUB, parseReference, type Reference } from '@lkt/oci';

/** A pattern of image names in a trust policy: a name, with `*` in it, or `/**` at its end. */
export interface ImagePattern {
  /** The pattern as written. */
  readonly text: string;
  readonly matches: (image: Pick<Reference, 'domain' | 'path'>) => boolean;
}

const ALL = '**';

/**
 * Parses a pattern of image names.
 * - `*` matches any text without a slash, also the empty text.
 * - `**` at the end, after a slash, matches one or more path components; alone it matches all.
 * - Other characters match themselves. A name without a registry belongs to docker.io.
 * @throws CONFIG_INVALID
 * @example
 * ```ts
 * const { matches } = parseImagePattern('ghcr.io/lkt/*');
 * matches(parseReference('ghcr.io/lkt/sshd:1')); // true
 * ```
 */
export function parseImagePattern(text: string): ImagePattern {
  if (text === ALL) return { text, matches: () => true };
  const isBelow = text.endsWith(`/${ALL}`);
  const head = isBelow ? text.slice(0, -`/${ALL}`.length) : text;
  if (head.includes(ALL))
    throw invalid(text, '** must be at the end', 'write it after the last slash');
  const [first = ''] = text.split('/');
  if (first.includes('*'))
    throw invalid(
      text,
      '* cannot match a registry',
      'write ** for every image, or name a registry',
    );
  const { domain, path } = parsedName(text, isBelow ? `${head}/x` : head);
  const below = isBelow ? path.slice(0, -'/x'.length) : path;
  // `REGISTRY/**` has no path in front of `**`.
  const prefix = isBelow && path === 'x' ? '' : below;
  const pattern = prefix
    .split('*')
    .map((part) => part.replaceAll(/[.\\+?^$()[\]{}|/-]/g, String.raw`\$&`))
    .join('[^/]*');
  const end = isBelow ? (prefix === '' ? '.+' : '/.+') : '';
  const expression = new RegExp(`^${pattern}${end}$`);
  const registry = registryOf(domain);
  return {
    text,
    matches: (image) => registryOf(image.domain) === registry && expression.test(image.path),
  };
}

/**
 * Adds Docker's default registry and organisation. `*` is parsed as a letter and restored in the
 * result.
 */
function parsedName(text: string, name: string): Pick<Reference, 'domain' | 'path'> {
  const letter = 'w';
  let parsed: Reference;
  try {
    parsed = parseReference(name.replaceAll('*', letter));
  } catch (cause) {
    if (!(cause instanceof LktError)) throw cause;
    throw invalid(text, 'not an image name', 'write it as ORG/NAME or REGISTRY/ORG/NAME');
  }
  const { domain, path, tag, digest } = parsed;
  if (tag !== undefined || digest !== undefined)
    throw invalid(
      text,
      'it has a tag or digest',
      'remove it: a pattern matches all tags and digests',
    );
  const parts = name.split('/');
  // Docker's defaults are prefixes; a written registry is the first component.
  const count = path.split('/').length;
  const written = parts.slice(Math.max(0, parts.length - count));
  return {
    domain,
    path: [...path.split('/').slice(0, count - written.length), ...written].join('/'),
  };
}

/** Reports whether a name, such as that in a signature, belongs to an image's repository. */
export function isRepository(name: string, image: Pick<Reference, 'domain' | 'path'>): boolean {
  try {
    const { domain, path } = parseReference(name);
    return registryOf(domain) === registryOf(image.domain) && path === image.path;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    return false;
  }
}

/**
 * Normalises a registry name as its URL does: letter case, forms of an IP address, zeros before the
 * port, the default https port. Also replaces Docker Hub's aliases.
 */
function registryOf(domain: string = DOCKER_HUB): string {
  // A name that makes no URL cannot be contacted either.
  const name = URL.parse(`https://${domain}`)?.host ?? domain.toLowerCase();
  return ['index.docker.io', 'registry-1.docker.io'].includes(name) ? DOCKER_HUB : name;
}

function invalid(text: string, why: string, fix: string): LktError {
  return new LktError('CONFIG_INVALID', `invalid image pattern "${text}": ${why}`, { fix });
}
