import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import type { Graph, GraphNode } from '@lkt/image';
import type { FileChange, ImageDiff } from '@lkt/inspect';
import { type Browser, type BrowserPage, startBrowser } from '@lkt/testing/browser';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { htmlPage } from '../../src/graph/html.ts';
import { diffPage } from '../../src/output/diff-page.ts';
import { inspectPage } from '../../src/output/inspect-page.ts';
import type { Inspected } from '../../src/output/inspect-report.ts';
import type { ImageDetails } from '../../src/targets/image-report.ts';

/** Pages with much, with long names and with nothing, in wide and narrow windows. */
const LONG = 'a-package-with-a-very-long-name-'.repeat(8);
const DIGEST = digestOf('');
const HASH = '0123456789'.repeat(4);
const COUNT = 300;

let dir: string;
let browser: Browser;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lkt-layout-'));
  browser = await startBrowser();
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

async function open(html: string, width = 1280): Promise<BrowserPage> {
  const path = join(dir, 'page.html');
  writeFileSync(path, html);
  return browser.open(path, { width, height: 900 });
}

const packages = Array.from({ length: COUNT }, (_, index) => ({
  name: index === 5 ? LONG : `lkt/package-${index}`,
  path: `usr/lib/${index === 5 ? LONG : `package-${index}`}/file`,
}));

const NOTHING: Inspected = {
  kind: 'image',
  name: 'example/empty',
  outputs: [],
  parameters: {},
  images: [],
  inputs: [],
};
const NO_DETAILS: ImageDetails = {
  files: new Map(),
  unread: undefined,
  sources: new Map(),
  packages: [],
  privileges: [],
  policies: [],
  verdicts: [],
  unverified: [],
};

/** An image of many packages. */
function largeImage(): string {
  const files: ImageDetails['files'] = new Map(
    packages.map(({ path }, index) => [
      path as never,
      { type: 'file', size: 1000 * (index + 1), mode: 0o644, uid: 0, gid: 0 } as never,
    ]),
  );
  const image: Inspected = {
    ...NOTHING,
    kind: 'build',
    name: LONG,
    images: packages.map(({ name }) => ({
      name: `${name}:${HASH}`,
      digest: DIGEST,
      size: 1e6,
      places: ['services x'],
      signatures: [],
    })),
  };
  return inspectPage(
    image,
    {
      ...NO_DETAILS,
      files,
      sources: new Map(packages.map(({ path, name }) => [path as never, `${name}:${HASH}`])),
      packages: packages.map(({ name }) => ({
        name,
        version: '1',
        license: 'MIT',
        images: ['lkt/containerd'],
        purl: `pkg:deb/debian/${name}@1`,
      })),
    },
    undefined,
  );
}

function largeDiff(): string {
  const files = packages.map(({ path, name }): FileChange => ({
    path: `/${path}`,
    change: 'removed',
    what: ['content'],
    growth: -1000,
    source: name,
  }));
  const diff: ImageDiff = {
    isSame: false,
    packages: [],
    config: [],
    cmdline: { removed: [], added: [] },
    privileges: [{ path: `services/${LONG}.capabilities[CHOWN]`, after: 'CHOWN' }],
    inputs: [{ name: LONG, before: DIGEST, after: DIGEST }],
    outputs: [],
    listed: packages.map(({ name }) => ({ name, before: '1.0', after: '1.1' })),
    files,
  };
  return diffPage(`old/${LONG}`, `new/${LONG}`, diff);
}

const node = (name: string): GraphNode => ({
  name,
  kind: name.endsWith('.yml') ? 'image' : 'package',
  built: true,
  pinned: true,
  stale: false,
  signed: false,
});

const edge = (from: string, to: string): Graph['edges'][number] => ({
  from,
  to,
  as: 'image',
  pin: 'pinned',
  place: 'x:1',
});

/** A config that names all packages, of which the last are in a long chain. */
function largeGraph(): Graph {
  const names = packages.map(({ name }) => name);
  return {
    nodes: ['os.yml', ...names].map(node),
    edges: [
      ...names.map((name) => edge('os.yml', name)),
      ...names.slice(-8).map((name, index) => edge(name, names.at(-index - 9) ?? '')),
      ...names.slice(-8, -1).map((name, index) => edge(name, names.at(index - 7) ?? '')),
    ],
  };
}

/** Returns selectors of elements that stand out of the window, and are in no scrolling region. */
const OVERFLOWING = `[...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() && !one.closest('.scroll, .graph, .map, .skip') && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 80))`;

test.each([
  ['inspect', largeImage],
  ['diff', largeDiff],
  ['graph', () => htmlPage(largeGraph(), ['os.yml'])],
])('the page of %s fits narrow windows, with long names and 300 packages', async (_, render) => {
  for (const width of [360, 768, 1600]) {
    const page = await open(render(), width);
    expect(await page.evaluate(OVERFLOWING), String(width)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    // Names of rows stay readable.
    const narrow = `[...document.querySelectorAll('tbody th')].filter((one) => one.clientWidth < 150).length`;
    expect(await page.evaluate(narrow), String(width)).toBe(0);
    expect(page.errors).toEqual([]);
  }
});

test('keeps what belongs together in one line', async () => {
  for (const [html, selector] of [
    [largeImage(), '[aria-label="Sizes by package"] td:last-child > span'],
    [largeDiff(), '[aria-label="Changed files"] td > span'],
    [largeImage(), '[aria-label="Packages in the SBOM"] td:nth-child(4)'],
  ] as const) {
    const page = await open(html, 900);
    const heights: readonly number[] = await page.evaluate(
      `[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => {
        const text = document.createRange();
        text.selectNodeContents(one);
        return text.getBoundingClientRect().height;
      })`,
    );
    expect(heights).toHaveLength(COUNT);
    expect(Math.max(...heights)).toBeLessThan(30);
  }
});

test('shows the config of a large graph first, at a readable size', async () => {
  const html = htmlPage(largeGraph(), ['os.yml']);
  for (const width of [400, 1280]) {
    const page = await open(html, width);
    const shown = await page.evaluate(`(() => {
      const box = document.querySelector('.graph [aria-pressed=true]').getBoundingClientRect();
      const area = document.querySelector('.graph').getBoundingClientRect();
      return {
        isInside: box.left >= area.left && box.right <= area.right + 1 && box.top >= area.top && box.bottom <= area.bottom,
        isLarge: box.width > 150,
        panel: document.querySelector('.panel').getBoundingClientRect().height,
      };
    })()`);
    expect(shown, String(width)).toMatchObject({ isInside: true, isLarge: true });
    expect((shown as { readonly panel: number }).panel).toBeLessThan(300);
  }
});

test('routes edges around the boxes of other nodes', async () => {
  const names = Array.from({ length: 6 }, (_, index) => `stage-${index}`);
  const graph: Graph = {
    nodes: [...names, 'tool', 'os.yml'].map(node),
    edges: [
      ...names.flatMap((from, index) => names.slice(0, index).map((to) => edge(from, to))),
      ...[...names, 'tool'].map((to) => edge('os.yml', to)),
      edge('stage-1', 'tool'),
    ],
  };
  const page = await open(htmlPage(graph));
  const crossings: readonly string[] = await page.evaluate(`(() => {
    const boxes = [...document.querySelectorAll('.graph g')].map((box) => {
      const { e: x, f: y } = box.transform.baseVal.consolidate().matrix;
      const { width, height } = box.querySelector('rect').getBBox();
      return { name: box.dataset.name, left: x + 1, top: y + 1, right: x + width - 1, bottom: y + height - 1 };
    });
    return [...document.querySelectorAll('.graph path')].flatMap((line) => {
      const length = line.getTotalLength();
      const points = Array.from({ length: 1 + Math.floor(length / 4) }, (_, index) => line.getPointAtLength(index * 4));
      return boxes
        .filter(({ left, top, right, bottom }) => points.some(({ x, y }) => x > left && x < right && y > top && y < bottom))
        .map(({ name }) => line.dataset.to + ' to ' + line.dataset.from + ' crosses ' + name);
    });
  })()`);
  expect(crossings).toEqual([]);
});

test('states what is missing instead of showing empty tables and pictures', async () => {
  const page = await open(inspectPage(NOTHING, NO_DETAILS, undefined));
  const paragraphs: readonly string[] = await page.evaluate(
    '[...document.querySelectorAll("main p")].map((one) => one.innerText)',
  );
  expect(paragraphs).toEqual([
    'The image has no files with contents.',
    'No images are known that it consists of.',
    'By the signatures in the store. No registry was asked.',
    'No image was evaluated.',
    'The store has no signatures of these images.',
    "No container's spec was read.",
    'There is no SBOM.',
  ]);
  expect(await page.evaluate('document.querySelectorAll("table, .map").length')).toBe(0);
  const graph = await open(htmlPage({ nodes: [], edges: [] }));
  expect(await graph.evaluate('document.querySelector("main").innerText.trim()')).toBe(
    'There are no packages and image configs here.',
  );
  for (const each of [page, graph]) expect(each.errors).toEqual([]);
});
