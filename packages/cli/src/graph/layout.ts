import type { Graph, GraphNode } from '@lkt/image';
import { arrange, type Slot } from './arrange.ts';
import { shortName } from './states.ts';

export interface LayoutNode {
  readonly node: GraphNode;
  /** The name in its box. */
  readonly label: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

interface LayoutEdge {
  readonly edge: Graph['edges'][number];
  /** The points that its line touches: from the input, through free lanes, to the user. */
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  /** The nodes by name, in the order of reading: column by column, from the top. */
  readonly placed: ReadonlyMap<string, LayoutNode>;
  readonly edges: readonly LayoutEdge[];
  readonly width: number;
  readonly height: number;
}

/** A box is as wide as the longest name in its column. */
export const BOX: { readonly minWidth: number; readonly height: number } = {
  minWidth: 220,
  height: 40,
};
/** Mean width of a character, and the width on both sides of a name. */
const TEXT = { character: 6.4, padding: 16 };
const MAX_NAME_LENGTH = 120;
const GAP = { x: 90, y: 14 };
const LANE_HEIGHT = 12;
const MARGIN = 16;

/**
 * Places nodes in columns, each to the right of its inputs. An edge over several columns passes
 * between their boxes in a lane, which it shares with the other long edges of its input.
 */
export function layOut({ nodes, edges }: Graph): Layout {
  const columns = columnsOf(nodes, edges);
  const columnOf = new Map(
    columns.flatMap((column, index) => column.map(({ name }) => [name, index] as const)),
  );
  const slots: Slot[][] = columns.map((column) => column.map(() => newSlot(BOX.height + GAP.y)));
  const boxes = new Map(
    columns.flatMap((column, index) =>
      column.map(({ name }, row) => [name, slots[index]?.[row] ?? newSlot(0)] as const),
    ),
  );
  const lanes = new Map<string, Slot[]>();
  /** Returns the slots of an input up to a column: its box, then lanes. */
  const slotsUpTo = (name: string, first: number, last: number): readonly Slot[] => {
    const own = lanes.get(name) ?? [boxes.get(name) ?? newSlot(0)];
    lanes.set(name, own);
    for (let column = first + own.length; column <= last; column += 1) {
      const lane = newSlot(LANE_HEIGHT);
      link(own.at(-1), lane);
      own.push(lane);
      slots[column]?.push(lane);
    }
    return own.slice(0, last - first + 1);
  };
  const routes = edges.flatMap((edge) => {
    const [first, end] = [columnOf.get(edge.to), columnOf.get(edge.from)];
    const user = boxes.get(edge.from);
    if (first === undefined || end === undefined || user === undefined) return [];
    // In a cycle the user may be to the left.
    const passed = slotsUpTo(edge.to, first, Math.max(first, end - 1));
    if (first < end) link(passed.at(-1), user);
    return [{ edge, first, end, passed, user }];
  });
  arrange(slots);
  const all = slots.flat();
  const top = Math.min(...all.map(({ middle, height }) => middle - height / 2), 0);
  const bottom = Math.max(...all.map(({ middle, height }) => middle + height / 2), 0);
  const widths = columns.map((column) =>
    Math.max(BOX.minWidth, ...column.map(({ name }) => widthOf(labelOf(name)))),
  );
  const x = (column: number): number =>
    widths.slice(0, column).reduce((sum, width) => sum + width + GAP.x, MARGIN);
  const width = (column: number): number => widths[column] ?? BOX.minWidth;
  const y = (slot: Slot): number => Math.round(MARGIN + slot.middle - top);
  const placed = columns.flatMap((column, index) =>
    column
      .map((node) => {
        const middle = y(boxes.get(node.name) ?? newSlot(0));
        const label = labelOf(node.name);
        return { node, label, x: x(index), y: middle - BOX.height / 2, width: width(index) };
      })
      .toSorted((a, b) => a.y - b.y),
  );
  const pointsOf = (first: number, passed: readonly Slot[]): readonly Point[] =>
    passed.flatMap((slot, index) => {
      const left = x(first + index);
      const end = { x: left + width(first + index), y: y(slot) };
      return index === 0 ? [end] : [{ x: left, y: y(slot) }, end];
    });
  return {
    placed: new Map(placed.map((one) => [one.node.name, one])),
    edges: routes.map(({ edge, first, end, passed, user }) => ({
      edge,
      points: [...pointsOf(first, passed), { x: x(end), y: y(user) }],
    })),
    width: x(columns.length) - GAP.x + MARGIN,
    height: Math.ceil(bottom - top) + 2 * MARGIN,
  };
}

/** Returns the name that a box shows; one of unusual length is cut. */
function labelOf(name: string): string {
  const short = shortName(name);
  return short.length > MAX_NAME_LENGTH ? `${short.slice(0, MAX_NAME_LENGTH - 1)}…` : short;
}

function widthOf(label: string): number {
  return Math.ceil(label.length * TEXT.character) + TEXT.padding;
}

function newSlot(height: number): Slot {
  return { height, middle: 0, left: [], right: [] };
}

function link(left: Slot | undefined, right: Slot): void {
  if (left === undefined) return;
  left.right.push(right);
  right.left.push(left);
}

/**
 * Returns the nodes in columns: each node to the right of its inputs, and one without inputs beside
 * the first that uses it.
 */
function columnsOf(nodes: Graph['nodes'], edges: Graph['edges']): GraphNode[][] {
  const inputs = Map.groupBy(edges, ({ from }) => from);
  const users = Map.groupBy(edges, ({ to }) => to);
  const depths = new Map<string, number>();
  const depthOf = (name: string): number => {
    const known = depths.get(name);
    if (known !== undefined) return known;
    // A provisional value, which ends cycles.
    depths.set(name, 0);
    const depth = Math.max(0, ...(inputs.get(name) ?? []).map(({ to }) => depthOf(to) + 1));
    depths.set(name, depth);
    return depth;
  };
  const columnOf = (name: string): number => {
    const own = depthOf(name);
    const first = Math.min(...(users.get(name) ?? []).map(({ from }) => depthOf(from)));
    return inputs.has(name) || !Number.isFinite(first) ? own : Math.max(own, first - 1);
  };
  const columns: GraphNode[][] = [];
  for (const node of nodes) (columns[columnOf(node.name)] ??= []).push(node);
  return Array.from(columns, (column) => column ?? []);
}
