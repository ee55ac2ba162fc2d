import type { Graph, GraphNode } from '@lkt/image';
import { expect, test } from 'vitest';
import { dotText } from '../../src/graph/dot.ts';
import { htmlPage } from '../../src/graph/html.ts';
import { BOX, layOut } from '../../src/graph/layout.ts';
import { partOf } from '../../src/graph/part.ts';
import { treeLines } from '../../src/graph/tree.ts';

const node = (name: string): GraphNode => ({
  name,
  kind: 'package',
  built: true,
  pinned: true,
  stale: false,
  signed: false,
});

/** Builds a graph from the inputs of each name. */
function graphOf(made: Readonly<Record<string, readonly string[]>>): Graph {
  const edges = Object.entries(made).flatMap(([from, uses]) =>
    uses.map((to) => ({ from, to, as: 'image' as const, pin: 'pinned' as const, place: 'x:1' })),
  );
  return { nodes: Object.keys(made).map(node), edges };
}

const HOSTILE = `<script>alert("1")</script>'&\\`;

test('escapes names in a page', () => {
  const page = htmlPage(graphOf({ [HOSTILE]: [], b: [HOSTILE] }));
  expect(page.match(/<script/g)).toHaveLength(2);
  expect(page).toContain(
    'data-to="&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#39;&#38;\\"',
  );
});

test('keeps what a config is made from, also in a cycle', () => {
  const graph = graphOf({ a: ['b'], b: ['c', 'a'], c: [], d: ['c'] });
  const { nodes, edges } = partOf(graph, ['a']);
  expect(nodes.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(edges.map(({ from, to }) => `${from} ${to}`)).toEqual(['a b', 'b c', 'b a']);
});

test('escapes names in DOT strings', () => {
  expect(dotText(graphOf({ [HOSTILE]: [] }))).toContain(
    `  "<script>alert(\\"1\\")</script>'&\\\\" [label=`,
  );
});

test('places nodes to the right of their inputs, without overlap', () => {
  const { placed, width, height } = layOut(
    graphOf({ d: ['b', 'c'], c: ['a'], b: ['a'], a: [], alone: [], e: ['a', 'd'] }),
  );
  const x = (name: string): number => placed.get(name)?.x ?? Number.NaN;
  expect(x('a')).toBe(x('alone'));
  expect(x('b')).toBeGreaterThan(x('a') + BOX.minWidth);
  expect(x('c')).toBe(x('b'));
  expect(x('d')).toBeGreaterThan(x('c') + BOX.minWidth);
  expect(x('e')).toBeGreaterThan(x('d') + BOX.minWidth);
  expect(Math.abs((placed.get('b')?.y ?? 0) - (placed.get('c')?.y ?? 0))).toBeGreaterThan(
    BOX.height,
  );
  for (const one of placed.values()) {
    expect(one.x + BOX.minWidth).toBeLessThan(width);
    expect(one.y + BOX.height).toBeLessThan(height);
  }
});

test('places a node without inputs beside the first that uses it', () => {
  const { placed, edges } = layOut(
    graphOf({ c: ['b', 'tool'], b: ['a'], a: [], d: ['c', 'tool', 'a'], tool: [] }),
  );
  expect(placed.get('tool')?.x).toBe(placed.get('b')?.x);
  const ends = (from: string, to: string): readonly (readonly [number, number])[] =>
    edges
      .filter(({ edge }) => edge.from === from && edge.to === to)
      .flatMap(({ points }) => points.map(({ x, y }) => [x, y] as const));
  const at = (name: string): { readonly x: number; readonly y: number } =>
    placed.get(name) ?? { x: Number.NaN, y: Number.NaN };
  const line = ends('d', 'a');
  expect(line[0]).toEqual([at('a').x + BOX.minWidth, at('a').y + BOX.height / 2]);
  expect(line.at(-1)).toEqual([at('d').x, at('d').y + BOX.height / 2]);
  // Two columns are between them.
  expect(line).toHaveLength(6);
});

test('shows long names, in columns that are as wide as these', () => {
  const long = 'registry.example.com/platform/a-package-with-a-long-name:2026.12';
  const graph = graphOf({ user: [long], [long]: [], other: ['user'] });
  expect(htmlPage(graph)).toContain(`>${long}</text>`);
  const { placed } = layOut(graph);
  const { x = 0, width = 0 } = placed.get(long) ?? {};
  expect(width).toBeGreaterThan(long.length * 6);
  expect(placed.get('user')?.x).toBeGreaterThan(x + width);
  expect(placed.get('other')?.width).toBe(BOX.minWidth);
  expect(layOut(graphOf({ ['x'.repeat(999)]: [] })).width).toBeLessThan(1000);
});

test('lists nodes column by column from the top, as Tab reaches them', () => {
  const { placed } = layOut(graphOf({ c: [], b: [], a: [], z: ['a'], y: ['b', 'c'], x: ['c'] }));
  const nodes = [...placed.values()];
  expect(nodes.toSorted((one, other) => one.x - other.x || one.y - other.y)).toEqual(nodes);
});

test('draws the edges of a cycle', () => {
  const { edges } = layOut(graphOf({ a: ['b'], b: ['a'] }));
  expect(edges.map(({ edge, points }) => [edge.from, points.length])).toEqual([
    ['a', 2],
    ['b', 2],
  ]);
});

test('shows every node of a cycle in a tree, and repeated inputs once', () => {
  expect(treeLines(graphOf({ a: ['b'], b: ['a'], c: ['d'], d: ['e'], e: [], f: ['d'] }))).toEqual([
    'c          built, pinned',
    '└─ d       built, pinned',
    '   └─ e    built, pinned',
    'f          built, pinned',
    '└─ d …     built, pinned',
    'a          built, pinned',
    '└─ b       built, pinned',
    '   └─ a …  built, pinned',
  ]);
  expect(treeLines({ nodes: [], edges: [] })).toEqual([]);
});
