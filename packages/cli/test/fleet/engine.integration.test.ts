import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GcpServer, startGcpServer } from '../../../fleet/test/providers/gcp-server.ts';
import { writeTinyImage } from '../../../machine/test/tiny-kernel.ts';
import { main } from '../program.ts';

// Real commands, with a server that stands in for Google's cloud.
const dir = mkdtempSync(join(tmpdir(), 'lkt-engine-'));
const env = { PATH: process.env['PATH'] ?? '', HOME: dir, LKT_CACHE: join(dir, 'store') };
let server: GcpServer;
let node = '';

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Adds an image with a disk to the store, and returns its name with the digest. */
async function makeImage(text: string, name: string): Promise<string> {
  await writeTinyImage(join(dir, name), text);
  writeFileSync(join(dir, `${name}-efi.img`), `disk of ${name}`);
  const { stdout } = await lkt('fleet', 'image', '--disk', name, `test/app:${name}`);
  return stdout.trim();
}

async function lkt(...args: readonly string[]): Promise<Result> {
  return promisify(execFile)(process.execPath, [main, ...args], { cwd: dir, env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => error as Result,
  );
}

beforeAll(async () => {
  server = await startGcpServer();
  server.isFast = true;
  writeFileSync(join(dir, 'key.json'), server.key, { mode: 0o600 });
  const image = await makeImage('healthy', 'one');
  writeFileSync(
    join(dir, 'fleet.yml'),
    `version: "1"
name: shop
providers:
  cloud:
    gcp:
      project: shop-1234
      zone: europe-west3-a
      bucket: images
      credentialsFile: key.json
      endpoint: ${server.endpoint}
groups:
  web:
    provider: cloud
    image: ${image}
    size: 2
    gcp: { machineType: e2-small }
`,
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

test('applies a group of an engine, and shows its nodes', async () => {
  const { code, stdout, stderr } = await lkt('fleet', 'apply', '--timeout', '60');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^web: 2 of 2 available, converged/m)]);
  expect(stderr).toContain('"kind":"stated"');
  const status = await lkt('fleet', 'status', '--json');
  const { groups } = JSON.parse(status.stdout) as {
    groups: readonly { nodes: readonly { name: string }[] }[];
  };
  node = groups[0]?.nodes[0]?.name ?? '';
  expect(node).toMatch(/^lkt-shop-web-/);
  expect(server.problems).toEqual([]);
});

test('lets the engine replace a node', async () => {
  server.changes();
  expect(await lkt('fleet', 'replace', node)).toMatchObject({ code: 0 });
  expect(server.changes()).toEqual(['instanceGroupManagers.recreateInstances']);
});

test("reports the engine's error with a fix", async () => {
  server.isReadOnly = true;
  const { code, stderr } = await lkt('fleet', 'replace', node);
  server.isReadOnly = false;
  expect([code, stderr]).toEqual([
    1,
    `error: gcp: instanceGroupManagers.recreateInstances: status 403: forbidden: Required permission
  fix: give the service account the role of docs/fleet/gcp.md
`,
  ]);
});

test('serves the status of the nodes, for readers with a token', async () => {
  const secret = 'reader'.repeat(5);
  writeFileSync(join(dir, 'token'), `${secret}\n`, { mode: 0o600 });
  const args = ['fleet', 'serve', '--listen', '0', '--read-token-file', 'token'];
  const child = spawn(process.execPath, [main, ...args], { cwd: dir, env });
  const closed = once(child, 'close');
  try {
    const url = await Promise.race([
      once(child.stdout, 'data').then(([chunk]) => String(chunk).trim()),
      closed.then(() => 'it ended'),
    ]);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+/);
    const get = async (path: string, authorization: string, method = 'GET'): Promise<Response> =>
      fetch(new URL(path, url), { method, headers: { authorization } });
    expect((await get('/status.json', 'Bearer other')).status).toBe(401);
    const token = `Bearer ${secret}`;
    expect(await (await get('/status.json', token)).json()).toMatchObject({
      fleet: 'shop',
      isConverged: true,
      groups: [{ name: 'web', available: 2 }],
    });
    expect(await (await get('/metrics', token)).text()).toContain(
      'lkt_fleet_nodes_available{fleet="shop",group="web"} 2\n',
    );
    const page = await get('/', token);
    expect(page.headers.get('refresh')).toBe('10');
    expect(await page.text()).toContain('2 of 2 available');
    expect((await get('/nodes', token)).status).toBe(404);
    expect((await get('/', token, 'POST')).status).toBe(405);
  } finally {
    child.kill('SIGINT');
    await closed;
  }
  expect(child.exitCode).toBe(0);
  expect(await lkt('fleet', 'serve', '--listen', ':0')).toMatchObject({
    code: 2,
    stderr: `error: other machines can connect to this address, without a token
  fix: give --read-token-file, or --insecure-no-tokens to allow it
`,
  });
});

test.for<[string, string, number, Readonly<Record<string, string>>]>([
  ['apply', 'a page', 200, {}],
  ['status', 'a redirection', 302, { location: 'http://127.0.0.1:1/' }],
])('%s names the provider that answers with %s', async ([command, , status, headers]) => {
  const page = createServer((_, outgoing) => {
    outgoing.writeHead(status, headers).end('<html>');
  });
  page.listen(0, '127.0.0.1');
  await once(page, 'listening');
  const { port } = page.address() as AddressInfo;
  const file = readFileSync(join(dir, 'fleet.yml'), 'utf8');
  const other = file.replace(server.endpoint, `http://127.0.0.1:${port}`);
  writeFileSync(join(dir, 'wrong.yml'), other);
  const { code, stdout, stderr } = await lkt('fleet', command, '--file', 'wrong.yml');
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^error: wrong\.yml:5:5: providers\.cloud: gcp: token: /);
  expect(stderr).toMatch(/\n {2}fix: check its settings, and what answers there\n$/);
  expect(stderr).not.toMatch(/^ +at /m);
  page.closeAllConnections();
  page.close();
});

test('shows the nodes of the other providers when one is away', async () => {
  const text = readFileSync(join(dir, 'fleet.yml'), 'utf8');
  const cloud = /  cloud:\n(?: {4}.*\n)+/.exec(text)?.[0] ?? '';
  const away = cloud.replace('cloud:', 'away:').replace(server.endpoint, 'http://127.0.0.1:1');
  const group = /  web:\n(?: {4}.*\n)+/.exec(text)?.[0] ?? '';
  const other = group.replace('web:', 'api:').replace('provider: cloud', 'provider: away');
  writeFileSync(join(dir, 'two.yml'), text.replace('groups:\n', `${away}groups:\n${other}`));
  const shown = await lkt('fleet', 'status', '--file', 'two.yml');
  expect([shown.code, shown.stdout]).toEqual([
    1,
    expect.stringMatching(/^web: 2 of 2 available[^]*^provider away does not answer: gcp: /m),
  ]);
  expect(shown.stderr).toMatch(/^error: gcp: token: .*\n/);
  const planned = await lkt('fleet', 'plan', '--file', 'two.yml');
  expect([planned.code, planned.stdout]).toEqual([1, '']);
  const page = await lkt('fleet', 'status', '--html', 'page.html');
  expect([page.code, page.stdout]).toEqual([0, expect.stringMatching(/^page\.html /)]);
  expect(readFileSync(join(dir, 'page.html'), 'utf8')).toContain('2 of 2 available');
});

test.for<[readonly string[], string]>([
  [
    ['drain', 'NODE'],
    `error: NODE is a node of an engine, which drains it by itself
  fix: replace it: lkt fleet replace NODE
`,
  ],
  [
    ['drain', 'NODE', '--undo'],
    `error: NODE is a node of an engine, which drains it by itself
  fix: replace it: lkt fleet replace NODE
`,
  ],
  [
    ['replace', 'web-7'],
    `error: the fleet shop has no node web-7
  fix: list the nodes: lkt fleet status
`,
  ],
  [
    ['rollback', 'web'],
    `error: the engine of web knows no earlier image
  fix: write the digest of the earlier image into fleet.yml, and run lkt fleet apply
`,
  ],
])('explains what an engine does not do: fleet %s', async ([args, expected]) => {
  server.changes();
  const named = args.map((arg) => (arg === 'NODE' ? node : arg));
  const { code, stderr } = await lkt('fleet', ...named);
  expect([code, stderr]).toEqual([1, expected.replaceAll('NODE', node)]);
  expect(server.changes()).toEqual([]);
});

test('returns a group of an engine to its earlier image, until the file names another', async () => {
  const file = readFileSync(join(dir, 'fleet.yml'), 'utf8');
  const [, one = ''] = /image: .*@(sha256:.*)/.exec(file) ?? [];
  const other = await makeImage('healthy too', 'two');
  const [, two = ''] = other.split('@');
  writeFileSync(join(dir, 'fleet.yml'), file.replace(/image: .*/, `image: ${other}`));
  expect(await lkt('fleet', 'apply', '--timeout', '60')).toMatchObject({ code: 0 });
  expect(await lkt('fleet', 'rollback', 'web')).toMatchObject({
    code: 0,
    stdout: `web: ${two} → ${one}\n`,
  });
  const { code, stderr } = await lkt('fleet', 'apply', '--timeout', '60');
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining("error: the roll of web halted: the engine's roll was rolled back\n"),
  ]);
  const { stdout } = await lkt('fleet', 'status', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    groups: [{ isRolledBack: true, available: 2, nodes: [{ image: one }, { image: one }] }],
  });
  writeFileSync(join(dir, 'fleet.yml'), file);
  expect(await lkt('fleet', 'apply', '--timeout', '60')).toMatchObject({ code: 0 });
  expect(server.problems).toEqual([]);
});
