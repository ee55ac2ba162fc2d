import { createHash } from 'node:crypto';

/** LinuxKit hashes the ids of several trees as one text. */
export function combineTrees(trees: readonly string[]): string {
  return trees.length === 1
    ? (trees[0] ?? '')
    : createHash('sha1').update(trees.join('')).digest('hex');
}
