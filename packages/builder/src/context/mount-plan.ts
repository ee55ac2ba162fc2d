import { type SourceFile, sourceError } from '@lkt/core';
import { fromRaw, type RawPath, toRaw } from '@lkt/oci';
import type { Context } from './context.ts';
import type { CopyPlan, ResolvedMount } from '@lkt/dockerfile';

/** Returns the copy of a context path and everything below it into an empty file system. */
export function mountPlan(
  context: Context,
  { source, position }: Pick<ResolvedMount, 'source' | 'position'>,
  file: SourceFile,
): CopyPlan {
  const root = toRaw(source).replaceAll(/^\/+|\/+$/g, '');
  const node = context.node(root);
  if (node === undefined) {
    const message = `${fromRaw(root)} is not in the build context`;
    throw sourceError('DOCKERFILE_INVALID', file, position, message, {
      fix: 'check the path, and whether .dockerignore excludes it',
    });
  }
  const entries: CopyPlan['entries'][number][] = [];
  const add = (path: RawPath): void => {
    const found = context.node(path);
    if (found === undefined) return;
    if (path !== '') entries.push({ source: path, target: path, type: found.type });
    for (const name of context.names(path)) add(path === '' ? name : `${path}/${name}`);
  };
  add(root);
  return { entries, files: [], directories: [] };
}
