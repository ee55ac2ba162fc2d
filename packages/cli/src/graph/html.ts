import { createHash } from 'node:crypto';
import type { Graph } from '@lkt/image';
import { BOX, layOut, type LayoutNode } from './layout.ts';
import { shortName, statesOf } from './states.ts';

/** Returns the graph as one HTML file that loads nothing else. Names are escaped. */
export function htmlPage(graph: Graph): string {
  const { placed, width, height } = layOut(graph);
  const lines = graph.edges.flatMap(({ from, to, pin, place }) => {
    const [start, end] = [placed.get(to), placed.get(from)];
    if (start === undefined || end === undefined) return [];
    const bad = pin === 'stale' || pin === 'missing' ? ' class="bad"' : '';
    const title = `${shortName(from)} ← ${shortName(to)}, ${pin}: ${place}`;
    return `<path${bad} data-from="${escaped(from)}" data-to="${escaped(to)}" d="${curve(start, end)}"><title>${escaped(title)}</title></path>`;
  });
  const boxes = [...placed.values()].map(box);
  const policy = `default-src 'none'; style-src '${sha256(STYLE)}'; script-src '${sha256(SCRIPT)}'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width">
<title>lkt graph</title>
<style>${STYLE}</style>
</head>
<body>
<p>${graph.nodes.length} nodes, inputs on the left. Dashed: not built or not in the store. Red: the pin is stale or missing. Click a node to show its inputs and its users.</p>
<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
${[...lines, ...boxes].join('\n')}
</svg>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

function box({ node, x, y }: LayoutNode): string {
  const { name, kind, built, pinned, stale } = node;
  const classes = [kind, ...(built ? [] : ['open']), ...(stale || !pinned ? ['bad'] : [])];
  const states = statesOf(node).join(', ');
  const title = [name, node.reference, node.platforms?.join(', '), states]
    .filter((text) => text !== undefined)
    .join('\n');
  return `<g class="${classes.join(' ')}" tabindex="0" data-name="${escaped(name)}" transform="translate(${x} ${y})"><title>${escaped(title)}</title><rect width="${BOX.width}" height="${BOX.height}" rx="4"/><text x="8" y="17">${escaped(cut(shortName(name)))}</text><text x="8" y="32" class="state">${escaped(states)}</text></g>`;
}

function curve(start: LayoutNode, end: LayoutNode): string {
  const middle = BOX.height / 2;
  const [x1, y1, x2, y2] = [start.x + BOX.width, start.y + middle, end.x, end.y + middle];
  const bend = Math.max(40, (x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

/** Cuts a name to the width of a box; the title has the whole name. */
function cut(text: string): string {
  return text.length > 33 ? `${text.slice(0, 32)}…` : text;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function sha256(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

const STYLE = `
:root { color-scheme: light dark; --line: #8888; --text: light-dark(#222, #ddd); --bad: light-dark(#b00020, #ff6b6b); }
body { margin: 0; padding: 8px; font: 12px system-ui, sans-serif; color: var(--text); }
svg { font: inherit; }
rect { stroke: var(--line); stroke-width: 1.5; }
.package rect { fill: light-dark(#e8f0fe, #1f2d45); }
.base rect { fill: light-dark(#f1f1f1, #2b2b2b); }
.image rect { fill: light-dark(#e7f6ea, #1e3a26); }
.open rect { stroke-dasharray: 4 3; }
.bad rect, path.bad { stroke: var(--bad); }
text { fill: var(--text); }
.state { font-size: 10px; opacity: .75; }
path { fill: none; stroke: var(--line); stroke-width: 1.2; }
g { cursor: pointer; }
svg.chosen g, svg.chosen path { opacity: .12; }
svg.chosen .on { opacity: 1; }
`;

const SCRIPT = `
const svg = document.querySelector('svg');
const boxes = [...svg.querySelectorAll('g')];
const lines = [...svg.querySelectorAll('path')];
function show(name) {
  const on = new Set();
  for (const [near, far] of [['from', 'to'], ['to', 'from']]) {
    const todo = [name];
    const seen = new Set(todo);
    while (todo.length > 0) {
      const at = todo.pop();
      on.add(boxes.find((box) => box.dataset.name === at));
      for (const line of lines) {
        if (line.dataset[near] !== at) continue;
        on.add(line);
        const next = line.dataset[far];
        if (!seen.has(next)) { seen.add(next); todo.push(next); }
      }
    }
  }
  svg.classList.toggle('chosen', name !== undefined);
  for (const item of [...boxes, ...lines]) item.classList.toggle('on', on.has(item));
}
svg.addEventListener('click', ({ target }) => show(target.closest('g')?.dataset.name));
svg.addEventListener('focusin', ({ target }) => show(target.closest('g')?.dataset.name));
`;
