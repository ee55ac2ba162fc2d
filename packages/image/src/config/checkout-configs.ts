import { glob } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { readWorkspaceFile } from '@lkt/pkg/workspace-file';
import { isLockPath } from './lock.ts';

/** Patterns of image configs for a checkout whose lkt.yml has none. */
const PATTERNS: readonly string[] = ['examples/*.yml', 'images/*.yml'];

/**
 * Returns the image configs of a checkout, relative to `cwd`: those that lkt.yml names, else those
 * in `examples` and `images`.
 */
export async function checkoutConfigs(root: string, cwd: string): Promise<readonly string[]> {
  const spec = readWorkspaceFile(root, (path) => relative(cwd, path));
  const paths = await Array.fromAsync(glob(spec?.images ?? PATTERNS, { cwd: root }));
  const configs = paths.filter((path) => !isLockPath(path));
  return [...new Set(configs.map((path) => relative(cwd, join(root, path))))].toSorted();
}
