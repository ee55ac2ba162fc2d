import { join, resolve } from 'node:path';
import type { ProviderDirs } from '../provider.ts';

/**
 * Returns the absolute path of a provider's state directory.
 * @param kind names the default one
 */
export function stateDirOf(
  kind: string,
  { state }: { readonly state?: string },
  { dir, stateDir }: ProviderDirs,
): string {
  return state === undefined ? join(stateDir, kind) : resolve(dir, state);
}
