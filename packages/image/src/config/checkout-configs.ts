import { glob } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { readWorkspaceFile } from '@lkt/pkg/workspace-file';
import { isLockPath } from './lock.ts';

/** Patterns of image configs for a checkout whose lkt.yml has none. */
const PATTERNS: readonly string[] = ['examples/*.yml', 'images/*.yml'];
/** Patterns of fleets there, whose image configs are beside them. */
const FLEET_PATTERNS: readonly string[] = ['examples/*/fleet.yml', 'images/*/fleet.yml'];

/**
 * Returns the image configs of a checkout, relative to `cwd`: those that lkt.yml names, else those
 * in `examples` and `images`, and beside a fleet.yml in a directory below these.
 */
export async function checkoutConfigs(root: string, cwd: string): Promise<readonly string[]> {
  const spec = readWorkspaceFile(root, (path) => relative(cwd, path));
  const patterns = spec?.images ?? [...PATTERNS, ...(await besideFleets(root))];
  const paths = await Array.fromAsync(glob(patterns, { cwd: root }));
  const configs = paths.filter((path) => !isLockPath(path) && !isFleet(path));
  return [...new Set(configs.map((path) => relative(cwd, join(root, path))))].toSorted();
}

async function besideFleets(root: string): Promise<readonly string[]> {
  const fleets = await Array.fromAsync(glob(FLEET_PATTERNS, { cwd: root }));
  return fleets.map((path) => join(dirname(path), '*.yml'));
}

function isFleet(path: string): boolean {
  return basename(path) === 'fleet.yml';
}
