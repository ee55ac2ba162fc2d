import type { Graph, GraphNode } from '@lkt/image';

export interface LayoutNode {
  readonly node: GraphNode;
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly placed: ReadonlyMap<string, LayoutNode>;
  readonly width: number;
  readonly height: number;
}

export const BOX: { readonly width: number; readonly height: number } = { width: 220, height: 40 };
const GAP = { x: 90, y: 14 };
const MARGIN = 16;
const ROUNDS = 8;

/**
 * Places nodes in columns, each to the right of its inputs. Orders each column by the average
 * position of its neighbours, in several rounds, to reduce crossing edges.
 */
export function layOut({ nodes, edges }: Graph): Layout {
  const columns = columnsOf(nodes, edges);
  const neighbours = new Map<string, string[]>();
  for (const { from, to } of edges) {
    neighbours.set(from, [...(neighbours.get(from) ?? []), to]);
    neighbours.set(to, [...(neighbours.get(to) ?? []), from]);
  }
  const rows = new Map<string, number>();
  const place = (column: GraphNode[]): void => {
    for (const [row, { name }] of column.entries()) rows.set(name, row - column.length / 2);
  };
  for (const column of columns) place(column);
  const middle = ({ name }: GraphNode): number => {
    const all = neighbours.get(name) ?? [];
    if (all.length === 0) return rows.get(name) ?? 0;
    return all.reduce((sum, other) => sum + (rows.get(other) ?? 0), 0) / all.length;
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const column of round % 2 === 0 ? columns : columns.toReversed()) {
      const middles = new Map(column.map((node) => [node, middle(node)]));
      column.sort((a, b) => (middles.get(a) ?? 0) - (middles.get(b) ?? 0));
      place(column);
    }
  }
  const height = Math.max(0, ...columns.map(({ length }) => length)) * (BOX.height + GAP.y);
  const placed = new Map<string, LayoutNode>();
  for (const [index, column] of columns.entries()) {
    const top = (height - column.length * (BOX.height + GAP.y)) / 2;
    for (const [row, node] of column.entries()) {
      const x = MARGIN + index * (BOX.width + GAP.x);
      const y = MARGIN + top + row * (BOX.height + GAP.y);
      placed.set(node.name, { node, x, y });
    }
  }
  const width = columns.length * (BOX.width + GAP.x) - GAP.x;
  return { placed, width: width + 2 * MARGIN, height: height + 2 * MARGIN };
}

function columnsOf(nodes: Graph['nodes'], edges: Graph['edges']): GraphNode[][] {
  const below = Map.groupBy(edges, ({ from }) => from);
  const depths = new Map<string, number>();
  const depthOf = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    // A provisional value, which ends cycles.
    depths.set(name, 0);
    const depth = Math.max(0, ...(below.get(name) ?? []).map(({ to }) => depthOf(to) + 1));
    depths.set(name, depth);
    return depth;
  };
  const columns: GraphNode[][] = [];
  for (const node of nodes) (columns[depthOf(node.name)] ??= []).push(node);
  return Array.from(columns, (column) => column ?? []);
}
