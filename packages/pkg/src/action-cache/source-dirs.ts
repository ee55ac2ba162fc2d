import { realpathSync } from 'node:fs';
import type { Package } from '../workspace/workspace.ts';

/** Returns the directories that the source hash of a package covers, without symlinks. */
export function sourceDirs({ dir, extraSources }: Package): readonly string[] {
  return [dir, ...extraSources.map(({ source }) => realpathSync(source))];
}
