import type { Graph, GraphNode } from '@lkt/image';
import { columns } from '../output/lines.ts';
import { shortName, statesOf } from './states.ts';

/**
 * Returns the graph as an indented tree: nodes that nothing uses are at the left, their inputs
 * below them. A repeated node is shown without its inputs.
 */
export function treeLines({ nodes, edges }: Graph): readonly string[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const below = (name: string): readonly string[] => [
    ...new Set(edges.filter(({ from }) => from === name).map(({ to }) => to)),
  ];
  const used = new Set(edges.map(({ to }) => to));
  const shown = new Set<string>();
  const rows: (readonly string[])[] = [];
  const show = (name: string, lead: string, rest: string): void => {
    const node = byName.get(name);
    if (node === undefined) return;
    const names = below(name);
    const isKnown = shown.has(name) && names.length > 0;
    shown.add(name);
    rows.push([`${lead}${shortName(name)}${isKnown ? ' …' : ''}`, statesOf(node).join(', ')]);
    if (isKnown) return;
    for (const [at, next] of names.entries()) {
      const isLast = at === names.length - 1;
      show(next, `${rest}${isLast ? '└─ ' : '├─ '}`, `${rest}${isLast ? '   ' : '│  '}`);
    }
  };
  for (const { name } of nodes.filter((node) => !used.has(node.name)).toSorted(imagesFirst))
    show(name, '', '');
  // Packages in a cycle have no root.
  for (const { name } of nodes) if (!shown.has(name)) show(name, '', '');
  return columns(rows);
}

function imagesFirst(a: GraphNode, b: GraphNode): number {
  return Number(b.kind === 'image') - Number(a.kind === 'image');
}
