import { dataElement, type Html, markup } from './html.ts';
import type { SizeTree } from './size-tree.ts';

/** A way to divide the same bytes. */
export interface TreemapView {
  readonly title: string;
  readonly tree: SizeTree;
}

/**
 * Returns a treemap that shows one of several views, and a directory of it at a time. {@link
 * TREEMAP_SCRIPT} draws it.
 */
export function treemapOf(label: string, views: readonly TreemapView[]): Html {
  return markup`<div class="treemap">
    <div class="views" role="group" aria-label="Divided by">
      ${views.map(
        ({ title }, index) =>
          markup`<button type="button" aria-pressed="${index === 0 ? 'true' : 'false'}">
            ${title}
          </button>`,
      )}
    </div>
    <nav class="path" aria-label="Place in the treemap"></nav>
    <div class="map" role="group" aria-label="${label}"></div>
    <output aria-live="polite"></output>
    <noscript>The treemap needs a script. The tables below have its numbers.</noscript>
    ${dataElement(views.map(({ tree }) => tree))}
  </div>`;
}

export const TREEMAP_STYLE: string = `
.treemap .views { display: flex; gap: .4rem; margin: .4rem 0; }
.treemap .path { gap: .3rem; margin: .3rem 0; align-items: center; }
.treemap .map { position: relative; height: 26rem; background: var(--fill); border: 1px solid var(--line); }
.treemap .map button, .treemap .map span { position: absolute; overflow: hidden; text-align: left; white-space: nowrap; text-overflow: ellipsis; }
.treemap .map button { padding: 0; border: 1px solid var(--page); border-radius: 0; color: light-dark(#111, #f2f2f2); background: light-dark(oklch(.86 .075 var(--hue)), oklch(.42 .075 var(--hue))); font-size: 12px; line-height: 17px; }
.treemap .map button[aria-disabled=true] { cursor: default; }
.treemap .map button:focus-visible, .treemap .map button:hover { z-index: 1; outline: 2px solid var(--text); outline-offset: -2px; }
.treemap .map b { position: absolute; inset: 1px 4px auto; font-weight: 600; overflow: hidden; text-overflow: ellipsis; }
.treemap .map span { border: 1px solid light-dark(#0002, #fff3); font-size: 11px; padding: 0 3px; color: inherit; }
.treemap output { display: block; min-height: 1.5em; overflow-wrap: anywhere; }
`;

/**
 * Lays out squarified treemaps (Bruls, Huizing, van Wijk, 2000). An entry is a button: Enter opens
 * a directory, Escape and the path above the map lead back, arrow keys go to the next entry.
 */
export const TREEMAP_SCRIPT: string = `
function squarify(items, [x, y, width, height], place) {
  let total = items.reduce((sum, [, size]) => sum + size, 0);
  let rest = items;
  while (rest.length > 0 && total > 0) {
    const short = Math.min(width, height);
    const scale = (width * height) / total;
    let area = 0;
    let worst = Infinity;
    let count = 0;
    for (const [, size] of rest) {
      const sum = area + size * scale;
      const ratio = Math.max((short * short * rest[0][1] * scale) / (sum * sum), (sum * sum) / (short * short * size * scale));
      if (ratio > worst) break;
      worst = ratio;
      area = sum;
      count += 1;
    }
    count = Math.max(count, 1);
    const thick = Math.max(area / short, 1e-6);
    let at = 0;
    for (const item of rest.slice(0, count)) {
      const length = (item[1] * scale) / thick;
      place(item, width >= height ? [x, y + at, thick, length] : [x + at, y, length, thick]);
      at += length;
      total -= item[1];
    }
    if (width >= height) { x += thick; width = Math.max(width - thick, 0); }
    else { y += thick; height = Math.max(height - thick, 0); }
    rest = rest.slice(count);
  }
}
function bytes(size) {
  for (const [unit, name] of [[1e9, 'GB'], [1e6, 'MB'], [1e3, 'kB']])
    if (size >= unit) return (size / unit).toFixed(1) + ' ' + name;
  return size + ' B';
}
function put(element, [x, y, width, height], whole) {
  element.style.left = (x / whole[0]) * 100 + '%';
  element.style.top = (y / whole[1]) * 100 + '%';
  element.style.width = (width / whole[0]) * 100 + '%';
  element.style.height = (height / whole[1]) * 100 + '%';
}
for (const box of document.querySelectorAll('.treemap')) {
  const trees = JSON.parse(box.querySelector('script').textContent);
  const [map, path, info] = ['.map', '.path', 'output'].map((name) => box.querySelector(name));
  const views = [...box.querySelectorAll('.views button')];
  const WHOLE = [1000, 420];
  const HEAD = 19;
  let trail = [];
  /** Pixels of a unit of width. */
  const pixels = () => Math.min(1, map.clientWidth / WHOLE[0]);
  const nest = (outer, item, width, height, depth) => {
    if (item[2] === undefined || depth === 0 || width < 40 || height < HEAD + 12) return;
    squarify(item[2], [3, HEAD, width - 6, height - HEAD - 3], (inner, spot) => {
      if (spot[2] < 4 || spot[3] < 4) return;
      const part = document.createElement('span');
      part.setAttribute('aria-hidden', 'true');
      put(part, spot, [width, height]);
      if (spot[2] * pixels() > 30 && spot[3] > 14) part.textContent = inner[0];
      nest(part, inner, spot[2], spot[3], depth - 1);
      outer.append(part);
    });
  };
  const tell = (item) => {
    const here = trail[trail.length - 1];
    const [, size] = item ?? here;
    const names = [...trail.slice(1), ...(item ? [item] : [])].map(([name]) => name);
    const share = ((size / trail[0][1]) * 100 || 0).toFixed(1) + ' %';
    info.value = [...(names.length > 0 ? [names.join(' › ')] : []), bytes(size), share].join(', ');
  };
  const open = (next, focus) => {
    trail = next;
    const here = trail[trail.length - 1];
    map.replaceChildren();
    let hue = 20;
    squarify(here[2] ?? [], [0, 0, ...WHOLE], (item, place) => {
      const button = document.createElement('button');
      button.type = 'button';
      put(button, place, WHOLE);
      button.style.setProperty('--hue', String(hue));
      hue = (hue + 137.5) % 360;
      button.setAttribute('aria-label', item[0] + ', ' + bytes(item[1]));
      button.title = item[0] + ', ' + bytes(item[1]);
      if (item[2] === undefined) button.setAttribute('aria-disabled', 'true');
      else button.addEventListener('click', () => open([...trail, item], true));
      const [, , width, height] = place;
      if (width * pixels() > 24 && height > 12) {
        const label = document.createElement('b');
        label.textContent = item[0] + '  ' + bytes(item[1]);
        button.append(label);
      }
      nest(button, item, width, height, 2);
      for (const kind of ['mouseenter', 'focus']) button.addEventListener(kind, () => tell(item));
      map.append(button);
    });
    path.replaceChildren(...trail.map((item, index) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = item[0];
      if (index === trail.length - 1) button.setAttribute('aria-current', 'location');
      button.addEventListener('click', () => open(trail.slice(0, index + 1), true));
      return button;
    }));
    tell();
    if (focus) (map.querySelector('button') ?? path.lastElementChild).focus();
  };
  const show = (index) => {
    views.forEach((button, at) => button.setAttribute('aria-pressed', String(at === index)));
    open([trees[index]], false);
  };
  views.forEach((button, index) => button.addEventListener('click', () => show(index)));
  map.addEventListener('mouseleave', () => tell());
  box.addEventListener('keydown', (event) => {
    const buttons = [...map.querySelectorAll('button')];
    const at = buttons.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step !== undefined && at !== -1) buttons[(at + step + buttons.length) % buttons.length].focus();
    else if (event.key === 'Escape' && trail.length > 1) open(trail.slice(0, -1), true);
    else return;
    event.preventDefault();
  });
  show(0);
}
`;
