import { type RawPath, toRaw } from '@lkt/oci';

/**
 * A test for paths from globs: `*` and `?` stay within a part of the path, `**` does not. A glob that fits a directory
 * fits all that is below it. A leading slash means nothing.
 */
export function matcher(globs: readonly string[]): (path: RawPath) => boolean {
  if (globs.length === 0) return () => false;
  const pattern = new RegExp(`^(?:${globs.map(translate).join('|')})(?:/|$)`, 's');
  return (path) => pattern.test(path);
}

function translate(glob: string): string {
  return toRaw(glob)
    .replace(/^\/+/, '')
    .replace(/\/+$/, '')
    .replaceAll(/\*\*\/|\*\*|\*|\?|[\\^$.|+()[\]{}]/g, (token) => {
      if (token === '**/') return '(?:[^/]+/)*';
      if (token === '**') return '.*';
      if (token === '*') return '[^/]*';
      return token === '?' ? '[^/]' : `\\${token}`;
    });
}
