import type { Graph } from '@lkt/image';
import { shortName, statesOf } from './states.ts';

const SHAPES = { package: 'box', base: 'ellipse', image: 'component' } as const;

/** Returns the graph in DOT: `lkt graph --dot | dot -Tsvg`. */
export function dotText({ nodes, edges }: Graph): string {
  const lines = [
    ...nodes.map((node) => {
      const label = `${shortName(node.name)}\n${statesOf(node).join(', ')}`;
      const style = node.built ? '' : ', style=dashed';
      const color = node.stale || !node.pinned ? ', color=red' : '';
      return `${quoted(node.name)} [label=${quoted(label)}, shape=${SHAPES[node.kind]}${style}${color}];`;
    }),
    ...edges.map(({ from, to, as, pin }) => {
      const label = as === 'image' ? '' : `label=${as}`;
      const color = pin === 'stale' || pin === 'missing' ? 'color=red' : '';
      const attributes = [label, color].filter((text) => text !== '').join(', ');
      return `${quoted(from)} -> ${quoted(to)}${attributes === '' ? '' : ` [${attributes}]`};`;
    }),
  ];
  return `digraph lkt {\n  rankdir=RL;\n${lines.map((line) => `  ${line}\n`).join('')}}\n`;
}

/** Quotes a DOT string. Only the quote is special; a backslash would begin an escape in a label. */
function quoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `"${escaped}"`;
}
