import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Browser, type BrowserPage, startBrowser } from '@lkt/testing/browser';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { main } from './program.ts';

const HOSTILE = `x"><img src=x onerror=alert(1)>'&`;
/** As a path, which a slash divides. */
const HOSTILE_PATH = '<script>alert(1)</script>';

let dir: string;
let browser: Browser;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lkt-pages-'));
  browser = await startBrowser();
});

afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

/** Writes a build with files, names and documents that another tool may have made. */
function writeBuild(folder: string, version: string, size: number, hasPath = true): string {
  const root = join(dir, folder, 'root');
  const service = join(root, 'containers/services', `web${HOSTILE}`);
  mkdirSync(join(service, 'rootfs/usr/bin'), { recursive: true });
  if (hasPath) {
    mkdirSync(join(root, HOSTILE_PATH), { recursive: true });
    writeFileSync(join(root, HOSTILE_PATH, `a${HOSTILE}\u202e`), Buffer.alloc(5000));
  }
  writeFileSync(join(service, 'rootfs/usr/bin/web'), Buffer.alloc(size));
  const process = {
    args: ['web', HOSTILE],
    capabilities: { bounding: ['CAP_NET_BIND_SERVICE', `CAP_${HOSTILE}`] },
    user: { uid: 7, gid: 8 },
    noNewPrivileges: true,
  };
  writeFileSync(
    join(service, 'config.json'),
    JSON.stringify({
      process,
      root: { readonly: true },
      mounts: [
        { source: '/var/log', options: ['rbind', 'ro'] },
        { source: `/${HOSTILE}`, options: ['bind'] },
        null,
      ],
      annotations: { 'lkt.allow': 'ptrace' },
      linux: { resources: { pids: { limit: 42 } }, namespaces: [{ type: 'pid' }, 5] },
    }),
  );
  writeFileSync(join(service, 'runtime.json'), '{"restart":');
  const path = join(dir, folder, HOSTILE);
  const source = `LINUXKIT.source:=docker.io/lkt/web:1@sha256:${'1'.repeat(64)}`;
  const pax = hasPath ? ['--format=pax', `--pax-option=${source}`] : [];
  const options = [...pax, '--mtime=@1', '--sort=name', '--transform=s,^\\./,,'];
  execFileSync('tar', ['-cf', `${path}.tar`, '-C', root, ...options, '.']);
  const packages = Array.from({ length: 30 }, (_, index) => ({
    SPDXID: `SPDXRef-${index}`,
    name: index === 7 ? HOSTILE : `library-${index}`,
    versionInfo: index === 3 ? version : `1.${index}`,
    licenseDeclared: index === 3 ? `MIT${HOSTILE}` : 'Apache-2.0',
  }));
  writeFileSync(
    `${path}-sbom.spdx.json`,
    JSON.stringify({
      spdxVersion: 'SPDX-2.3',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: 'evil',
      packages,
      relationships: [],
    }),
  );
  writeFileSync(
    `${path}-provenance.json`,
    JSON.stringify({
      subject: [{ name: `${HOSTILE}.tar`, digest: { sha256: '0'.repeat(64) } }],
      predicate: {
        buildDefinition: {
          externalParameters: { variables: { A: HOSTILE } },
          resolvedDependencies: [
            { name: 'docker.io/lkt/web:1', digest: { sha256: '1'.repeat(64) } },
            { name: HOSTILE, digest: { sha256: (size % 10).toString().repeat(64) } },
          ],
        },
      },
    }),
  );
  return path;
}

function lkt(args: readonly string[], status = 0, cwd = dir): string {
  const done = spawnSync(process.execPath, [main, ...args], {
    cwd,
    env: { ...process.env, LKT_CACHE: join(dir, 'store'), NO_COLOR: '1', COSIGN_PASSWORD: '' },
    encoding: 'utf8',
  });
  expect(done.status, done.stderr).toBe(status);
  return done.stdout;
}

/** Commits all files of a directory. */
function commit(root: string): void {
  const name = ['-c', 'user.name=A', '-c', 'user.email=a@example.com'];
  for (const args of [
    ['init', '-q'],
    ['add', '-A'],
    [...name, 'commit', '-qm', 'one'],
  ])
    execFileSync('git', args, { cwd: root });
}

/** Returns a checkout with a config and three packages, of which two are built. */
function builtCheckout(): string {
  const root = join(dir, 'graph');
  if (existsSync(root)) return root;
  const files = {
    'pkg/base/build.yml': 'image: base\norg: example\n',
    'pkg/base/Dockerfile': 'FROM scratch\nCOPY build.yml /\n',
    'pkg/app/build.yml': 'image: app\norg: example\nbuildArgs: ["BASE=@lkt:pkg:../base"]\n',
    'pkg/app/Dockerfile': 'ARG BASE\nFROM ${BASE}\nCOPY build.yml /app\n',
    'pkg/other/build.yml': 'image: other\norg: example\n',
    'pkg/other/Dockerfile': 'FROM scratch\nCOPY build.yml /\n',
    [`${HOSTILE}.yml`]: 'init: ["@pkg:pkg/app"]\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  commit(root);
  lkt(['pkg', 'build', 'pkg/app'], 0, root);
  return root;
}

/** Opens a page, and expects that it loads and runs nothing but itself. */
async function openPage(file: string): Promise<BrowserPage> {
  const page = await browser.open(join(dir, file));
  expect(await page.evaluate('document.scripts.length')).toBe(
    await page.evaluate('document.querySelectorAll("script[type], body > script").length'),
  );
  expect(
    await page.evaluate('document.querySelectorAll("img, link, iframe, [onerror]").length'),
  ).toBe(0);
  return page;
}

/** Asks for nothing but the file, and has no errors, also after it was used. */
function expectQuiet(page: BrowserPage): void {
  expect(page.requests).toHaveLength(1);
  expect(page.errors).toEqual([]);
}

/** Returns the texts of elements. */
async function texts(page: BrowserPage, selector: string): Promise<readonly string[]> {
  return page.evaluate(
    `[...document.querySelectorAll(${JSON.stringify(selector)})].filter((one) => one.checkVisibility()).map((one) => (one.innerText ?? one.textContent).trim())`,
  );
}

/** Returns the rows of a table by its label, without the title. */
async function rows(page: BrowserPage, label: string): Promise<readonly (readonly string[])[]> {
  return page.evaluate(
    `[...document.querySelectorAll('[role=region][aria-label="${label}"] tbody tr')].filter((row) => !row.hidden).map((row) => [...row.cells].map((cell) => cell.innerText.trim()))`,
  );
}

/** Presses Tab until an element has the focus. */
async function tabTo(page: BrowserPage, selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.press('Tab');
    const isFocused: unknown = await page.evaluate(
      `document.activeElement.matches(${JSON.stringify(selector)})`,
    );
    if (isFocused === true) return;
  }
  throw new Error(`Tab never reaches ${selector}`);
}

/** Returns the contrast of an element's text with its background (WCAG 2.2). */
async function contrast(page: BrowserPage, selector: string): Promise<number> {
  return page.evaluate(`(() => {
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const luminance = (color) => {
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
      const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    let element = document.querySelector(${JSON.stringify(selector)});
    const text = getComputedStyle(element);
    const color = element instanceof SVGElement ? text.fill : text.color;
    while (getComputedStyle(element).backgroundColor === 'rgba(0, 0, 0, 0)') element = element.parentElement;
    const behind = getComputedStyle(element).backgroundColor;
    const [low, high] = [luminance(color), luminance(behind)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  })()`);
}

test('shows an image of foreign names: sizes, packages, privileges and its boot', async () => {
  const build = writeBuild('one', '2.0', 90_000);
  writeFileSync(
    join(dir, 'boot.json'),
    JSON.stringify({
      version: 1,
      end: 'complete',
      firmware: 1,
      steps: [{ name: HOSTILE, start: 0, end: 2 }],
    }),
  );
  expect(lkt(['inspect', '--html', 'inspect.html', '--timeline', 'boot.json', build])).toMatch(
    /^inspect\.html {2}\d+\.\d kB\n$/,
  );
  const page = await openPage('inspect.html');
  expect(await texts(page, 'h1')).toEqual([HOSTILE]);
  expect(await texts(page, 'main h2')).toEqual([
    'Sizes',
    'Images',
    'Signatures',
    'Privileges',
    'Packages',
    'Boot',
    'Made from',
  ]);
  expect(await rows(page, 'Files of the build')).toContainEqual([
    `${HOSTILE}.tar`,
    expect.stringMatching(/^\d+\.\d kB$/),
    '✗ changed',
    expect.stringMatching(/^sha256:/),
  ]);
  expect(await rows(page, 'Images')).toEqual([
    ['lkt/web:1', 'not in the store', '', `sha256:${'1'.repeat(64)}`],
  ]);
  expect(await rows(page, 'Privileges of containers')).toEqual([
    [
      `services/web${HOSTILE}\nweb ${HOSTILE}`,
      `NET_BIND_SERVICE\n${HOSTILE}`,
      'ptrace',
      `/var/log\n/${HOSTILE} (writable)`,
      'pid',
      'user 7:8\nread-only root\nno new privileges',
      '42 tasks',
    ],
  ]);
  expect(await rows(page, 'Inputs')).toEqual([[HOSTILE, `sha256:${'0'.repeat(64)}`]]);
  expect(await rows(page, 'Sizes by package')).toEqual([['lkt/web:1', '95.5 kB', '4', '100.0 %']]);
  expect(await texts(page, 'svg.chart g text:first-of-type')).toEqual(['firmware', HOSTILE]);
  expectQuiet(page);
});

test('searches packages, and opens directories of the treemap by keys', async () => {
  const page = await openPage('inspect.html');
  await tabTo(page, '.treemap .map button');
  const entries = '.treemap .map > button';
  const names = async (): Promise<readonly string[]> =>
    page.evaluate(`[...document.querySelectorAll('${entries}')].map((one) => one.ariaLabel)`);
  expect(await names()).toEqual(['lkt/web:1, 95.5 kB']);
  await page.press('Enter');
  expect(await names()).toEqual([
    `containers/services/web${HOSTILE}, 90.5 kB`,
    `<script>alert(1)</script>, 5.0 kB`,
  ]);
  await page.press('ArrowRight');
  await page.press('Enter');
  // A character that reorders text is shown by its code.
  expect(await names()).toEqual([`a${HOSTILE}\\u{202e}, 5.0 kB`]);
  expect(await texts(page, '.treemap output')).toEqual([
    `lkt/web:1 › <script>alert(1)</script> › a${HOSTILE}\\u{202e}, 5.0 kB, 5.2 %`,
  ]);
  await page.press('Escape');
  await page.press('Escape');
  expect(await names()).toEqual(['lkt/web:1, 95.5 kB']);
  await page.evaluate('document.querySelectorAll(".views button")[1].click()');
  expect(await names()).toHaveLength(2);
  await tabTo(page, 'input[type=search]');
  for (const key of 'mit') await page.press(key);
  expect(await rows(page, 'Packages in the SBOM')).toEqual([
    ['library-3', '2.0', `MIT${HOSTILE}`, '', ''],
  ]);
  expect(await texts(page, '.searchable output')).toEqual(['1 of 30']);
  expectQuiet(page);
});

test('shows the differences of images of foreign names', async () => {
  const before = join(dir, 'one', HOSTILE);
  const after = writeBuild('two', '2.1', 100_001, false);
  expect(lkt(['diff', '--html', 'diff.html', before, after], 1)).toMatch(
    /^diff\.html {2}\d+\.\d kB\n$/,
  );
  const page = await openPage('diff.html');
  expect(await texts(page, 'header p')).toContain(`${before} → ${after}`);
  expect(await texts(page, 'main h2')).toEqual(['Growth', 'Made from', 'SBOM', 'Files', 'Written']);
  expect(await texts(page, '#growth p')).toEqual([
    '+5.0 kB in all: +10.0 kB in 1 file, −5.0 kB in 1 file.',
  ]);
  expect(await rows(page, 'Packages in the SBOM')).toEqual([
    ['library-3', '~ changed', '2.0', '2.1'],
  ]);
  expect(await rows(page, 'Inputs')).toEqual([
    [HOSTILE, '~ changed', `sha256:${'0'.repeat(64)}`, `sha256:${'1'.repeat(64)}`],
  ]);
  expect(await rows(page, 'Changed files')).toEqual([
    ['/<script>alert(1)<', '− removed', 'directory 0755', '', 'lkt/web:1'],
    [`/${HOSTILE_PATH}`, '− removed', 'directory 0755', '', 'lkt/web:1'],
    [
      `/${HOSTILE_PATH}/a${HOSTILE}\\u{202e}`,
      '− removed',
      expect.stringMatching(/^file 0\d+, 5000 bytes$/),
      '−5.0 kB',
      'lkt/web:1',
    ],
    [
      `/containers/services/web${HOSTILE}/rootfs/usr/bin/web`,
      '~ changed',
      'content (90000 → 100001 bytes)',
      '+10.0 kB',
      '',
    ],
  ]);
  await tabTo(page, '.treemap .map button');
  await page.press('ArrowRight');
  await page.press('Enter');
  expect(
    await page.evaluate(
      '[...document.querySelectorAll(".treemap .map > button")].map((one) => one.ariaLabel)',
    ),
  ).toEqual(['<script>alert(1)</script>, 5.0 kB']);
  expectQuiet(page);
  lkt(['inspect', '--html', 'other.html', after]);
  const other = await openPage('other.html');
  expect(await texts(other, '.views button')).toEqual(['By directory']);
  lkt(['diff', '--html', 'same.html', before, before]);
  expect(await texts(await openPage('same.html'), 'header p')).toContain('No difference.');
});

test('draws the steps of a build, also of a failed one', async () => {
  const name = '<img src=x>.txt';
  mkdirSync(join(dir, 'checkout/pkg/evil'), { recursive: true });
  const root = join(dir, 'checkout');
  writeFileSync(join(root, 'pkg/evil/build.yml'), 'image: evil\norg: example\n');
  writeFileSync(join(root, 'pkg/evil', name), 'text');
  writeFileSync(join(root, 'pkg/evil/Dockerfile'), `FROM scratch\nCOPY ["${name}", "/"]\n`);
  commit(root);
  const build = ['pkg', 'build', '--timeline', 'build.json', '--timeline', 'build.svg', 'pkg/evil'];
  lkt(build, 0, root);
  const page = await browser.open(join(root, 'build.svg'));
  const labels = await texts(page, 'g text:first-of-type');
  expect(labels[0]).toBe('example/evil');
  expect(labels.join('\n')).toContain(name);
  expect(await page.evaluate('document.querySelectorAll("g.first rect").length')).toBe(1);
  expectQuiet(page);
  const trace = JSON.parse(readFileSync(join(root, 'build.json'), 'utf8')) as {
    readonly traceEvents: readonly { readonly ph: string; readonly name: string }[];
  };
  expect(trace.traceEvents.some(({ ph, name: title }) => ph === 'X' && title.includes(name))).toBe(
    true,
  );
  writeFileSync(join(root, 'pkg/evil/Dockerfile'), 'FROM scratch\nCOPY none /\n');
  lkt(build, 1, root);
  const failed = await browser.open(join(root, 'build.svg'));
  expect(await failed.evaluate('document.querySelectorAll("g.failed").length')).toBeGreaterThan(0);
});

test('shows the graph of a config first, and selects, searches and zooms by keys', async () => {
  const root = builtCheckout();
  expect(lkt(['graph', '--html', '../graph.html', `${HOSTILE}.yml`], 0, root)).toMatch(
    /^\.\.\/graph\.html {2}\d+\.\d kB\n$/,
  );
  const page = await openPage('graph.html');
  const config = `${HOSTILE}.yml`;
  expect(await texts(page, 'h1')).toEqual([config]);
  const nodes = async (selector: string): Promise<readonly string[]> =>
    page.evaluate(
      `[...document.querySelectorAll(${JSON.stringify(selector)})].filter((one) => one.checkVisibility()).map((one) => one.dataset.name)`,
    );
  expect((await nodes('.graph g')).toSorted()).toEqual(['example/app', 'example/base', config]);
  expect(await texts(page, 'details summary')).toEqual([
    'All 4 packages, bases and images of the checkout',
  ]);
  expect(await nodes('[aria-pressed=true]')).toEqual([config]);
  expect(await texts(page, 'ul.legend li')).toHaveLength(6);
  expect(await texts(page, '.graph .size')).toEqual(
    ['0.2 kB', '0.2 kB', '0.2 kB'].map(() => expect.stringMatching(/^0\.\d kB$/)),
  );
  const panel = async (): Promise<string> => (await texts(page, '.panel')).join('');
  expect(await panel()).toMatch(
    /kind\s+image config\s+status\s+ready, pinned\s+size\s+0\.\d kB, compressed\s+made from\s+example\/app$/,
  );

  await tabTo(page, '.graph g[data-name="example/app"]');
  await page.press('ArrowLeft');
  expect(await nodes('[aria-pressed=true]')).toEqual(['example/base']);
  expect(await panel()).toContain(`used through\n${config}\n→\nexample/app\nused by\nexample/app`);
  expect(await page.evaluate('document.querySelectorAll("main > .graph path.way").length')).toBe(2);
  await page.press('ArrowRight');
  expect(await nodes('[aria-pressed=true]')).toEqual(['example/app']);
  const width = async (): Promise<number> =>
    page.evaluate('document.querySelector(".graph svg").getBoundingClientRect().width');
  const before = await width();
  await page.press('+');
  expect(await width()).toBeGreaterThan(before * 1.2);
  await page.press('0');
  expect(await width()).toBe(before);
  await page.press('Escape');
  expect(await panel()).toBe('No node is selected.');

  await page.evaluate('document.querySelector("input").focus()');
  for (const key of 'other') await page.press(key);
  expect(await texts(page, 'output.found')).toEqual(['1 of 4']);
  await page.press('Enter');
  expect(await nodes('[aria-pressed=true]')).toEqual(['example/other']);
  expect(await page.evaluate('document.querySelector("details").open')).toBe(true);
  expect(await nodes('.graph g')).toHaveLength(7);
  for (const theme of ['light', 'dark'] as const) {
    await page.prefer(theme);
    for (const selector of ['h1', '.soft', '.panel dt', '.panel dd'])
      expect(await contrast(page, selector), `${selector}, ${theme}`).toBeGreaterThan(4.5);
  }
  expectQuiet(page);

  writeFileSync(join(dir, 'whole.html'), lkt(['graph', '--html', '-'], 0, root));
  const whole = await openPage('whole.html');
  expect(await whole.evaluate('document.querySelectorAll(".graph g").length')).toBe(3);
  expect(await whole.evaluate('document.querySelectorAll("details").length')).toBe(0);
});

test('shows signatures, and verdicts of policies by the signatures in the store', async () => {
  const root = builtCheckout();
  lkt(['key', 'generate', '--no-password'], 0, root);
  lkt(['pkg', 'sign', '--key', 'cosign.key', 'pkg/app'], 0, root);
  const rule = '{images: ["**"], keys: [cosign.pub]}';
  writeFileSync(join(root, 'policy.yml'), `required: true\nsigners: [${rule}]\n`);
  const inspect = async (name: string): Promise<BrowserPage> => {
    lkt(['inspect', '--html', 'verdict.html', '--trust', 'policy.yml', `pkg/${name}`], 0, root);
    return openPage('graph/verdict.html');
  };
  const key: unknown = expect.stringMatching(/^the key sha256:[0-9a-f]{64}$/);
  const signed = await inspect('app');
  expect(await rows(signed, 'Policy verdicts')).toEqual([
    [
      expect.stringMatching(/^example\/app:[0-9a-f]{40}@sha256:/),
      '✓ signed',
      'SBOM, provenance, signature by the key cosign.pub',
    ],
  ]);
  expect(await rows(signed, 'Policies')).toEqual([
    ['policy.yml:1', '**', 'a signature by a rule, or a build here'],
    ['policy.yml:2', '**', 'signed by 1 of: the key cosign.pub'],
  ]);
  expect(await rows(signed, 'Signatures in the store')).toContainEqual([
    expect.stringMatching(/^example\/app:/),
    'signature',
    key,
  ]);
  const unsigned = await inspect('base');
  expect(await rows(unsigned, 'Policy verdicts')).toEqual([
    [
      expect.stringMatching(/^example\/base:/),
      '✗ refused',
      expect.stringMatching(/signature|signed/),
    ],
  ]);
  expect(await texts(unsigned, '#signatures')).toContainEqual(
    expect.stringContaining('The store has no signatures of these images.'),
  );
  lkt(['inspect', '--html', 'verdict.html', 'pkg/base'], 0, root);
  const open = await openPage('graph/verdict.html');
  expect(await texts(open, '#signatures p')).toContainEqual(
    expect.stringMatching(/^Not evaluated: no trust policy covers example\/base:[0-9a-f]{40}\.$/),
  );
  expectQuiet(open);

  // The policy of a config itself: its signers also of an image that was built here.
  writeFileSync(join(root, 'own.yml'), `init: [example/app]\ntrust: {signers: [${rule}]}\n`);
  lkt(['pin', 'own.yml'], 0, root);
  lkt(['inspect', '--html', 'own.html', 'own.yml'], 0, root);
  const own = await openPage('graph/own.html');
  expect(await rows(own, 'Policies')).toEqual([
    ['own.yml:2', '**', 'signed by 1 of: the key cosign.pub'],
  ]);
  expect(await rows(own, 'Policy verdicts')).toEqual([
    [
      expect.stringMatching(/^example\/app:[0-9a-f]{40}@sha256:/),
      '✓ signed',
      'SBOM, provenance, signature by the key cosign.pub',
    ],
  ]);
});

test('shows a config as it would be built, with sizes by package', async () => {
  const root = builtCheckout();
  lkt(['inspect', '--html', 'config.html', `${HOSTILE}.yml`], 0, root);
  const page = await openPage('graph/config.html');
  expect(await texts(page, 'header p')).toEqual(['An image config, as it would be built']);
  expect(await rows(page, 'Images')).toEqual([
    [
      expect.stringMatching(/^example\/app:[0-9a-f]{40}$/),
      expect.stringMatching(/^0\.\d kB$/),
      'init',
      expect.stringMatching(/^sha256:/),
    ],
  ]);
  expect((await rows(page, 'Sizes by package')).map(([name]) => name)).toEqual([
    'lkt.manifest',
    expect.stringMatching(/^example\/app:[0-9a-f]{8}$/),
  ]);
  expectQuiet(page);
});

test.each([
  ['inspect.html', ['h1', '.soft', 'a', '.bad', '.map b', 'svg.chart g text', 'thead th']],
  ['diff.html', ['h1', '.soft', 'a', '.bad', '.map b', '.map span', 'td', 'button']],
])('has readable colours in both themes in %s', async (file, selectors) => {
  const page = await openPage(file);
  const colors = new Set<string>();
  for (const theme of ['light', 'dark'] as const) {
    await page.prefer(theme);
    colors.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
    for (const selector of selectors)
      expect(await contrast(page, selector), `${selector}, ${theme}`).toBeGreaterThan(4.5);
  }
  expect(colors.size).toBe(2);
});

test('writes a page to standard output, and reports files it cannot use', () => {
  const build = join(dir, 'one', HOSTILE);
  expect(lkt(['inspect', '--html', '-', build])).toMatch(/^<!doctype html>\n/);
  const run = (...args: string[]): string =>
    spawnSync(process.execPath, [main, 'inspect', ...args, build], {
      cwd: dir,
      env: { ...process.env, LKT_CACHE: join(dir, 'store'), NO_COLOR: '1' },
      encoding: 'utf8',
    }).stderr;
  expect(lkt(['inspect', '--html', '-', '--json', build], 2)).toContain(
    '--json and --html - both need standard output',
  );
  expect(run('--html', 'none/a.html')).toContain('error: cannot write none/a.html');
  writeFileSync(join(dir, 'bad.json'), '{"version":2}');
  expect(run('--html', 'b.html', '--timeline', 'bad.json')).toContain(
    'error: bad.json is not a timeline of lkt run: its version is not 1',
  );
  expect(run('--html', 'b.html', '--timeline', 'none.json')).toContain(
    'error: cannot read --timeline none.json',
  );
});
