import { LktError } from '@lkt/core';

/**
 * Returns `targets` and all their dependencies, each after its own dependencies.
 * @throws CONFIG_INVALID for a dependency cycle, with the cycle in the message
 */
export async function buildOrder<T>(
  targets: Iterable<T>,
  needs: (node: T) => Promise<readonly T[]>,
  name: (node: T) => string,
): Promise<readonly T[]> {
  const done = new Set<T>();
  const path: T[] = [];
  const visit = async (node: T): Promise<void> => {
    if (done.has(node)) return;
    const from = path.indexOf(node);
    if (from !== -1) {
      const cycle = [...path.slice(from), node].map(name).join(' → ');
      throw new LktError('CONFIG_INVALID', `packages depend on each other: ${cycle}`, {
        fix: 'remove one of the references',
      });
    }
    path.push(node);
    for (const needed of await needs(node)) await visit(needed);
    path.pop();
    done.add(node);
  };
  for (const target of targets) await visit(target);
  return [...done];
}
