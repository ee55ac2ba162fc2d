import type { Graph, GraphNode } from '@lkt/image';
import { showSize } from '../flags/sizes.ts';
import { documentOf } from '../page/document.ts';
import { dataElement, type Html, markup, visible } from '../page/html.ts';
import { BOX, layOut, type LayoutNode, type Point } from './layout.ts';
import { GRAPH_SCRIPT } from './script.ts';
import { shortName, statesOf } from './states.ts';
import { GRAPH_STYLE } from './style.ts';
import { partOf } from './part.ts';

/**
 * Returns the graph as one self-contained HTML page.
 * @param configs the configs that the user named: their part of the graph is shown first, and the
 * whole graph folded
 */
export function htmlPage(graph: Graph, configs: readonly string[] = []): string {
  const part = configs.length === 0 ? graph : partOf(graph, configs);
  const isWhole = part.nodes.length === graph.nodes.length;
  const title = configs.length === 0 ? 'Dependency graph' : configs.join(', ');
  const drawn =
    graph.nodes.length === 0
      ? markup`<p>There are no packages and image configs here.</p>`
      : isWhole
        ? drawing(graph, 'Dependency graph')
        : markup`${drawing(part, `Dependency graph of ${title}`)}
<details><summary>All ${graph.nodes.length} packages, bases and images of the checkout</summary>
${drawing(graph, 'Dependency graph of the checkout')}</details>`;
  return documentOf({
    title: `${title} - lkt graph`,
    style: GRAPH_STYLE,
    script: GRAPH_SCRIPT,
    body: markup`<a class="skip" href="#main">Skip to the graph</a>
<header>
<h1>${title}</h1>
<p class="soft">${part.nodes.length} nodes, inputs on the left.</p>
${LEGEND}
<div class="tools">
<input type="search" placeholder="Search" aria-label="Search for nodes"><output class="found" aria-live="polite"></output>
<span role="group" aria-label="Zoom"><button type="button" data-zoom="out" aria-label="Zoom out">−</button><output class="zoom">100 %</output><button type="button" data-zoom="in" aria-label="Zoom in">+</button><button type="button" data-zoom="fit">Fit</button></span>
</div>
<p class="soft">Select a node by click, Tab or the arrow keys. Keys +, − and 0 zoom, Escape selects nothing.</p>
</header>
<section class="panel" aria-label="Selected node" aria-live="polite"></section>
<main id="main" tabindex="-1">
${drawn}
</main>
${dataElement(dataOf(graph, configs))}`,
  });
}

/** The data for the script: nodes by index, edges by the indexes of their ends. */
function dataOf({ nodes, edges }: Graph, configs: readonly string[]): object {
  const indexes = new Map(nodes.map(({ name }, index) => [name, index]));
  const isRoot = ({ name, kind }: GraphNode): boolean =>
    configs.length === 0 ? kind === 'image' : configs.includes(name);
  return {
    roots: nodes.filter(isRoot).map(({ name }) => indexes.get(name)),
    first: configs.length === 0 ? undefined : indexes.get(configs[0] ?? ''),
    nodes: nodes.map((node) => ({
      name: visible(node.name),
      facts: factsOf(node).map(([key, value]) => [key, visible(value)]),
    })),
    edges: edges.flatMap(({ from, to, as, pin, place }) => {
      const [start, end] = [indexes.get(from), indexes.get(to)];
      if (start === undefined || end === undefined) return [];
      return [[start, end, visible(`${as === 'image' ? '' : `${as}, `}${pin}, ${place}`)]];
    }),
  };
}

function factsOf(node: GraphNode): readonly (readonly [string, string])[] {
  const { kind, size, dir, platforms, reference } = node;
  const kinds = { package: 'package', base: 'base image', image: 'image config' };
  return [
    ['kind', kinds[kind]],
    ['status', statesOf(node).join(', ')],
    ...(size === undefined ? [] : [['size', `${showSize(size)}, compressed`] as const]),
    ...(dir === undefined ? [] : [['directory', dir] as const]),
    ...(platforms === undefined ? [] : [['platforms', platforms.join(', ')] as const]),
    ...(reference === undefined ? [] : [['reference', reference] as const]),
  ];
}

function drawing(graph: Graph, label: string): Html {
  const { placed, edges, width, height } = layOut(graph);
  const lines = edges.map(({ edge: { from, to, pin, place }, points }) => {
    const kind = pin === 'stale' || pin === 'missing' ? 'bad' : '';
    const title = `${shortName(from)} ← ${shortName(to)}, ${pin}: ${place}`;
    return markup`<path class="${kind}" data-from="${from}" data-to="${to}" d="${lineThrough(points)}"><title>${title}</title></path>\n`;
  });
  return markup`<div class="graph" role="region" aria-label="${label}">
<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
${lines}${[...placed.values()].map(box)}</svg>
</div>`;
}

function box({ node, label, x, y, width }: LayoutNode): Html {
  const { name, kind, built, pinned, stale, size } = node;
  const classes = [kind, ...(built ? [] : ['open']), ...(stale || !pinned ? ['bad'] : [])];
  const states = statesOf(node).join(', ');
  const title = `${name}, ${states}`;
  return markup`<g class="${classes.join(' ')}" tabindex="0" role="button" aria-pressed="false" aria-label="${title}" data-name="${name}" transform="translate(${x} ${y})"><title>${title}</title><rect width="${width}" height="${BOX.height}" rx="4"/><text x="8" y="17">${label}</text><text x="8" y="32" class="state">${states}</text>${size === undefined ? undefined : markup`<text x="${width - 8}" y="32" class="state size">${showSize(size)}</text>`}</g>\n`;
}

/** Returns a line through points: level along a lane, and curved between two columns. */
function lineThrough(points: readonly Point[]): string {
  return points
    .map(({ x, y }, index) => {
      const before = points[index - 1];
      if (before === undefined) return `M${x} ${y}`;
      if (before.y === y && before.x < x) return `H${x}`;
      const bend = Math.max(40, (x - before.x) / 2);
      return `C${before.x + bend} ${before.y} ${x - bend} ${y} ${x} ${y}`;
    })
    .join('');
}

const LEGEND: Html = markup`<ul class="legend" aria-label="Legend">
${(
  [
    ['package', 'package'],
    ['base', 'base image'],
    ['image', 'image config'],
    ['open', 'not built, or not in the store'],
    ['bad', 'stale, or without digest'],
    ['on', 'selected, with its inputs and users'],
  ] as const
).map(([kind, text]) => markup`<li><span class="swatch ${kind}"></span>${text}</li>\n`)}</ul>`;
