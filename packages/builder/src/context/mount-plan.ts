import { type SourceFile, sourceError } from '@lkt/core';
import { fromRaw, type RawPath, toRaw } from '@lkt/oci';
import type { Context } from './context.ts';
import { type CopyPlan, parentsOf, type ResolvedMount, resolveLinks } from '@lkt/dockerfile';

/**
 * Returns the copy of a context path and everything below it into an empty file system, with the
 * symlinks that the path leads through.
 */
export function mountPlan(
  context: Context,
  { source, position }: Pick<ResolvedMount, 'source' | 'position'>,
  file: SourceFile,
): CopyPlan {
  const root = toRaw(source).replaceAll(/^\/+|\/+$/g, '');
  const followed: RawPath[] = [];
  const real = resolveLinks(context, root, followed);
  if (real === undefined) {
    const message = `${fromRaw(root)} is not in the build context`;
    throw sourceError('DOCKERFILE_INVALID', file, position, message, {
      fix: 'check the path, and whether .dockerignore excludes it',
    });
  }
  const links = followed.filter((link) => real !== '' && !link.startsWith(`${real}/`));
  const entries: CopyPlan['entries'][number][] = links.map((link) => ({
    source: link,
    target: link,
    type: 'symlink',
  }));
  const add = (path: RawPath): void => {
    const found = context.node(path);
    if (found === undefined) return;
    if (path !== '') entries.push({ source: path, target: path, type: found.type });
    for (const name of context.names(path)) add(path === '' ? name : `${path}/${name}`);
  };
  add(real);
  return { entries, files: [], directories: [...new Set([...links, real].flatMap(parentsOf))] };
}
