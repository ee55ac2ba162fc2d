import { packageGraph } from './package-graph.ts';
import type { Package, Workspace } from './workspace.ts';

/**
 * Returns packages and all that they depend on, sorted by name.
 * @throws LktError as `packageGraph` does
 */
export async function withDependencies(
  workspace: Workspace,
  items: readonly Package[],
): Promise<readonly Package[]> {
  const uses = await usesOf(workspace);
  return closure(items, (item) => uses.get(item) ?? []);
}

/**
 * Returns packages and all that depend on them, sorted by name.
 * @throws LktError as `packageGraph` does
 */
export async function withDependents(
  workspace: Workspace,
  items: readonly Package[],
): Promise<readonly Package[]> {
  const uses = await usesOf(workspace);
  const all = [...uses];
  return closure(items, (item) =>
    all.flatMap(([other, used]) => (used.includes(item) ? [other] : [])),
  );
}

async function usesOf(workspace: Workspace): Promise<ReadonlyMap<Package, readonly Package[]>> {
  const { nodes } = await packageGraph(workspace);
  return new Map(nodes.map(({ item, uses }) => [item, uses.map((use) => use.package)]));
}

function closure(
  items: readonly Package[],
  next: (item: Package) => readonly Package[],
): readonly Package[] {
  const found = new Set(items);
  // A Set's iterator also visits what is added on the way.
  for (const item of found) for (const other of next(item)) found.add(other);
  return [...found].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
