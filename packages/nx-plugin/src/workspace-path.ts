import { relative, sep } from 'node:path';

/** Returns a path relative to the workspace, with slashes; undefined for a path outside of it. */
export function workspacePath(root: string, path: string): string | undefined {
  const way = relative(root, path).split(sep).join('/');
  if (way === '..' || way.startsWith('../')) return undefined;
  return way === '' ? '.' : way;
}
