import { type RawPath, toRaw } from '@lkt/oci';

/**
 * Returns a test for paths: `*` and `?` match within a component, `**` also across slashes. A glob
 * that matches a directory matches everything below it. Leading and trailing slashes are ignored.
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
