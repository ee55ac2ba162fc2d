/**
 * Selects, searches and zooms. A selected node is shown with everything it is made from, all that
 * use it, and the way to it from the first config.
 */
export const GRAPH_SCRIPT: string = `
const data = JSON.parse(document.querySelector('script[type]').textContent);
const svgs = [...document.querySelectorAll('.graph svg')];
const boxes = [...document.querySelectorAll('.graph g')];
const lines = [...document.querySelectorAll('.graph path')];
const panel = document.querySelector('.panel');
const inputs = data.nodes.map(() => []);
const users = data.nodes.map(() => []);
for (const [from, to, text] of data.edges) {
  inputs[from].push([to, text]);
  users[to].push([from, text]);
}
const indexOf = new Map(data.nodes.map(({ name }, index) => [name, index]));
const nodeOf = (box) => indexOf.get(box.dataset.name);

function reach(start, next) {
  const seen = new Set([start]);
  for (const at of seen) for (const [other] of next[at]) seen.add(other);
  return seen;
}
function wayTo(node) {
  const before = new Map(data.roots.map((root) => [root, undefined]));
  for (const [at] of before) {
    if (at === node) break;
    for (const [other] of inputs[at]) if (!before.has(other)) before.set(other, at);
  }
  if (!before.has(node)) return [node];
  const way = [];
  for (let at = node; at !== undefined; at = before.get(at)) way.unshift(at);
  return way;
}
function link(node) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = data.nodes[node].name;
  button.addEventListener('click', () => {
    select(node);
    const box = boxes.find((one) => nodeOf(one) === node && one.checkVisibility()) ?? boxes.find((one) => nodeOf(one) === node);
    const folded = box.closest('details');
    if (folded) folded.open = true;
    box.focus();
    box.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
  return button;
}
function fact(list, name, values) {
  if (values.length === 0) return;
  const [term, text] = [document.createElement('dt'), document.createElement('dd')];
  term.textContent = name;
  text.append(...values);
  list.append(term, text);
}
function linked(pairs) {
  return pairs.map(([node, text]) => {
    const button = link(node);
    button.title = text;
    return button;
  });
}
function select(node) {
  const above = node === undefined ? new Set() : reach(node, inputs);
  const below = node === undefined ? new Set() : reach(node, users);
  const way = node === undefined ? [] : wayTo(node);
  const steps = new Set(way.slice(1).map((to, index) => way[index] + ' ' + to));
  for (const svg of svgs) svg.classList.toggle('chosen', node !== undefined);
  for (const box of boxes) {
    const own = nodeOf(box);
    box.classList.toggle('on', above.has(own) || below.has(own));
    box.setAttribute('aria-pressed', String(own === node));
  }
  for (const line of lines) {
    const [from, to] = [indexOf.get(line.dataset.from), indexOf.get(line.dataset.to)];
    line.classList.toggle('on', (above.has(from) && above.has(to)) || (below.has(from) && below.has(to)));
    line.classList.toggle('way', steps.has(from + ' ' + to));
  }
  panel.replaceChildren();
  if (node === undefined) {
    panel.textContent = 'No node is selected.';
    return;
  }
  const head = document.createElement('h2');
  head.textContent = data.nodes[node].name;
  const list = document.createElement('dl');
  for (const [name, value] of data.nodes[node].facts) fact(list, name, [value]);
  if (way.length > 1) fact(list, 'used through', way.slice(0, -1).flatMap((at) => [link(at), '→']).slice(0, -1));
  fact(list, 'made from', linked(inputs[node]));
  fact(list, 'used by', linked(users[node]));
  panel.append(head, list);
}
for (const svg of svgs) {
  svg.addEventListener('click', ({ target }) => {
    const box = target.closest('g');
    select(box === null ? undefined : nodeOf(box));
  });
  svg.addEventListener('focusin', ({ target }) => {
    const box = target.closest('g');
    if (box !== null) select(nodeOf(box));
  });
}

const input = document.querySelector('input');
const found = document.querySelector('.found');
function search() {
  const words = input.value.toLowerCase().split(/\\s+/).filter((word) => word !== '');
  const hits = new Set();
  for (const box of boxes) {
    const text = data.nodes[nodeOf(box)].facts.flat().join(' ') + ' ' + box.dataset.name;
    const hit = words.every((word) => text.toLowerCase().includes(word));
    box.classList.toggle('miss', !hit);
    if (hit) hits.add(nodeOf(box));
  }
  for (const svg of svgs) svg.classList.toggle('searched', words.length > 0);
  found.value = words.length === 0 ? '' : hits.size + ' of ' + data.nodes.length;
}
input.addEventListener('input', () => {
  select(undefined);
  search();
});
input.addEventListener('keydown', ({ key }) => {
  if (key !== 'Enter') return;
  const hits = boxes.filter((box) => !box.classList.contains('miss'));
  const shown = hits.find((box) => box.checkVisibility()) ?? hits[0];
  if (shown === undefined) return;
  const folded = shown.closest('details');
  if (folded) folded.open = true;
  shown.focus();
  shown.scrollIntoView({ block: 'nearest', inline: 'nearest' });
});

let level = 1;
function zoom(next) {
  level = Math.min(Math.max(next, 0.1), 4);
  for (const svg of svgs) {
    const { width, height } = svg.viewBox.baseVal;
    svg.setAttribute('width', width * level);
    svg.setAttribute('height', height * level);
  }
  document.querySelector('output.zoom').value = Math.round(level * 100) + ' %';
}
function fit() {
  const [svg] = svgs;
  if (svg === undefined) return;
  zoom(Math.min(1, svg.parentElement.clientWidth / svg.viewBox.baseVal.width));
}
function bring(box) {
  const area = box.closest('.graph');
  const [inner, outer] = [box.getBoundingClientRect(), area.getBoundingClientRect()];
  area.scrollLeft += inner.left + inner.width / 2 - outer.left - area.clientWidth / 2;
  area.scrollTop += inner.top + inner.height / 2 - outer.top - area.clientHeight / 2;
}
const zooms = { in: () => zoom(level * 1.25), out: () => zoom(level / 1.25), fit };
for (const button of document.querySelectorAll('[data-zoom]'))
  button.addEventListener('click', zooms[button.dataset.zoom]);
for (const { parentElement: area } of svgs)
  area.addEventListener('wheel', (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(level * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, { passive: false });

function neighbour(box, key) {
  const own = nodeOf(box);
  const near = [...box.parentElement.querySelectorAll('g')];
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    const next = new Set((key === 'ArrowLeft' ? inputs : users)[own].map(([other]) => other));
    return near.find((one) => next.has(nodeOf(one)));
  }
  const { left, top } = box.getBoundingClientRect();
  const column = near.filter((one) => Math.abs(one.getBoundingClientRect().left - left) < 1);
  column.sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
  const at = column.findIndex((one) => one.getBoundingClientRect().top === top);
  return column[at + (key === 'ArrowUp' ? -1 : 1)];
}
document.addEventListener('keydown', (event) => {
  if (event.target === input || event.ctrlKey || event.altKey || event.metaKey) return;
  const box = document.activeElement?.closest('g');
  const { key } = event;
  if (key === '+') zooms.in();
  else if (key === '-') zooms.out();
  else if (key === '0') fit();
  else if (key === 'Escape') select(undefined);
  else if (box && (key === 'Enter' || key === ' ')) select(nodeOf(box));
  else if (box && key.startsWith('Arrow')) neighbour(box, key)?.focus();
  else return;
  event.preventDefault();
});
fit();
// Smaller text cannot be read.
if (level < 0.7) zoom(0.7);
select(data.first);
const chosen = boxes.find((box) => nodeOf(box) === data.first);
if (chosen !== undefined) bring(chosen);
`;
