import { glob } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Returns the image configs of a checkout, `examples/*.yml`, relative to `cwd`. */
export async function checkoutConfigs(root: string, cwd: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const path of glob('examples/*.yml', { cwd: root }))
    files.push(relative(cwd, join(root, path)));
  return files.toSorted();
}
