import type { Graph } from '@lkt/image';

/** Returns the part of a graph that nodes are made from, with these nodes. */
export function partOf({ nodes, edges }: Graph, names: readonly string[]): Graph {
  const inputs = Map.groupBy(edges, ({ from }) => from);
  const kept = new Set(names);
  // A set iterates over what is added meanwhile.
  for (const name of kept) for (const { to } of inputs.get(name) ?? []) kept.add(to);
  return {
    nodes: nodes.filter(({ name }) => kept.has(name)),
    edges: edges.filter(({ from }) => kept.has(from)),
  };
}
