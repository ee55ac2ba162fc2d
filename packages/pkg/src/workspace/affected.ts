import { type Changes, changesSince } from '@lkt/git';
import { buildOrder } from './graph.ts';
import { packageGraph } from './package-graph.ts';
import type { Package, Workspace } from './workspace.ts';

/** A package whose image may change. */
interface AffectedPackage {
  readonly item: Package;
  /** Whether its own sources differ. */
  readonly isChanged: boolean;
  /** The affected packages among its dependencies. */
  readonly uses: readonly Package[];
}

interface Affected {
  readonly changes: Changes;
  /**
   * Packages by build wave, sorted by name. A wave depends only on earlier ones, so its packages
   * can be built in parallel.
   */
  readonly waves: readonly (readonly AffectedPackage[])[];
}

/**
 * Returns the packages whose sources changed since a commit, and those that depend on them. Builds
 * nothing.
 * @param base as for `changesSince`
 * @throws GIT_FAILED
 * @throws CONFIG_INVALID for a dependency cycle
 * @throws LktError at an invalid build.yml or Dockerfile
 * @example
 * ```ts
 * const { waves } = await affectedPackages(workspace, 'origin/main');
 * for (const wave of waves) console.log(wave.map(({ item }) => item.name));
 * ```
 */
export async function affectedPackages(
  workspace: Workspace,
  base: string | undefined,
  signal?: AbortSignal,
): Promise<Affected> {
  const { nodes } = await packageGraph(workspace, undefined, signal);
  const changes = await changesSince(workspace, base, signal);
  const byItem = new Map(nodes.map((node) => [node.item, node]));
  const order = await buildOrder(
    nodes,
    async ({ uses }) => uses.flatMap((use) => byItem.get(use.package) ?? []),
    ({ item }) => item.name,
  );
  const affected = new Map<Package, AffectedPackage & { readonly wave: number }>();
  for (const { item, directories, uses: all } of order) {
    const used = all.flatMap((use) => affected.get(use.package) ?? []);
    const isChanged = directories.some(changes.has);
    if (!isChanged && used.length === 0) continue;
    const wave = Math.max(0, ...used.map((use) => use.wave + 1));
    affected.set(item, { item, isChanged, uses: used.map((use) => use.item), wave });
  }
  const waves = Map.groupBy(affected.values(), ({ wave }) => wave);
  return {
    changes,
    waves: Array.from({ length: waves.size }, (_, wave) =>
      (waves.get(wave) ?? []).toSorted((a, b) => (a.item.name < b.item.name ? -1 : 1)),
    ),
  };
}
