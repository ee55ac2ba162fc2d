import { LktError } from '@lkt/core';
import { parseReference, type Reference } from '@lkt/oci';

/** Names of images, as policies write them: a name, with `*` in it, or `/**` at its end. */
export interface ImagePattern {
  /** As written. */
  readonly text: string;
  readonly matches: (image: Pick<Reference, 'domain' | 'path'>) => boolean;
}

const ALL = '**';

/**
 * - `*` stands for any text without a slash, also none.
 * - `**` at the end, after a slash, stands for one part of the name or more; alone it is every image.
 * - All else stands for itself. Names without a registry are of docker.io, as in references; the registry is written out.
 * @throws LktError CONFIG_INVALID
 */
export function parseImagePattern(text: string): ImagePattern {
  if (text === ALL) return { text, matches: () => true };
  const isBelow = text.endsWith(`/${ALL}`);
  const head = isBelow ? text.slice(0, -`/${ALL}`.length) : text;
  if (head.includes(ALL))
    throw invalid(text, '** stands for the end of a name', 'write it after the last slash');
  const [first = ''] = text.split('/');
  if (first.includes('*'))
    throw invalid(text, '* stands for no registry', 'write ** for every image, or name a registry');
  const { domain, path } = parsedName(text, isBelow ? `${head}/x` : head);
  const below = isBelow ? path.slice(0, -'/x'.length) : path;
  // `REGISTRY/**` leaves no path above what `**` stands for.
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

/** With Docker's defaults added. `*` is read as a letter, and stands in what is given back. */
function parsedName(text: string, name: string): { domain: string; path: string } {
  const letter = 'w';
  let parsed: Reference;
  try {
    parsed = parseReference(name.replaceAll('*', letter));
  } catch (cause) {
    if (!(cause instanceof LktError)) throw cause;
    throw invalid(text, 'it is no name of an image', 'write it as ORG/NAME or REGISTRY/ORG/NAME');
  }
  const { domain, path, tag, digest } = parsed;
  if (tag !== undefined || digest !== undefined)
    throw invalid(text, 'it has a tag or digest', 'leave it out: all images of the name are meant');
  const parts = name.split('/');
  // What the defaults add is in front, and a registry that is written is the first part.
  const count = path.split('/').length;
  const written = parts.slice(Math.max(0, parts.length - count));
  return {
    domain,
    path: [...path.split('/').slice(0, count - written.length), ...written].join('/'),
  };
}

/** One registry has one name: the case of letters, zeros before a port and the port of https tell none apart. */
function registryOf(domain: string): string {
  const name = domain
    .toLowerCase()
    .replace(/:0+(?=\d+$)/, ':')
    .replace(/:443$/, '');
  return ['index.docker.io', 'registry-1.docker.io'].includes(name) ? 'docker.io' : name;
}

function invalid(text: string, why: string, fix: string): LktError {
  return new LktError('CONFIG_INVALID', `"${text}" names no images: ${why}`, { fix });
}
