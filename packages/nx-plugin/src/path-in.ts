import { relative, sep } from 'node:path';

/** A path from the top of the workspace, with slashes; undefined for one outside. */
export function pathIn(root: string, path: string): string | undefined {
  const way = relative(root, path).split(sep).join('/');
  if (way === '..' || way.startsWith('../')) return undefined;
  return way === '' ? '.' : way;
}
