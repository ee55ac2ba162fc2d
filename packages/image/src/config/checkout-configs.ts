import { glob } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** The image configs of a checkout, `examples/*.yml`, as a user in `cwd` would name them. */
export async function checkoutConfigs(root: string, cwd: string): Promise<readonly string[]> {
  const files: string[] = [];
  for await (const path of glob('examples/*.yml', { cwd: root }))
    files.push(relative(cwd, join(root, path)));
  return files.toSorted();
}
