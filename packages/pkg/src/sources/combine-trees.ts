import { createHash } from 'node:crypto';

/**
 * Returns the hash of several git trees, as LinuxKit does: SHA-1 over their ids in one string. The
 * id itself for a single tree.
 */
export function combineTrees(trees: readonly string[]): string {
  return trees.length === 1
    ? (trees[0] ?? '')
    : createHash('sha1').update(trees.join('')).digest('hex');
}
