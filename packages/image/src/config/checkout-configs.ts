import { glob } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Returns the image configs of a checkout, `examples/*.yml`, relative to `cwd`. */
export async function checkoutConfigs(root: string, cwd: string): Promise<readonly string[]> {
  const paths = await Array.fromAsync(glob('examples/*.yml', { cwd: root }));
  return paths.map((path) => relative(cwd, join(root, path))).toSorted();
}
