import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtempDisposable, readFile, symlink } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Attestation } from '../../src/node.ts';
import { converged, fleet, start } from './wrong-provider.ts';

test('does not trust a forwarded port while the guest boots', async () => {
  // As QEMU does: it accepts connections, and keeps them, before its guest answers.
  const server = createServer((socket) => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const text = fleet.file.text.replace('{ console: up }', '{ tcp: 80 }');
  const { provider, events, pass } = start('/nonexistent', Date.now, text);
  provider.published = new Map([[80, { host: '127.0.0.1', port }]]);
  provider.said = 'Linux version 6';
  for (let passes = 0; passes < 3; passes += 1) await pass();
  expect(events.map(({ kind }) => kind)).toEqual(['create', 'create']);
  provider.said += '\nlkt: boot complete 4.2\n';
  for (let passes = 0; passes < 3; passes += 1) await pass();
  expect(events.at(-1)).toMatchObject({ kind: 'converged' });
  // The console of a node that was ready is not read again: it may be long.
  provider.said = '';
  await pass();
  expect(events.at(-1)).toMatchObject({ kind: 'converged' });
  server.close();
});

test('restarts the count of attempts once a node was ready', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  let now = Date.now();
  const setting = start(dir.path, () => now);
  const { provider } = setting;
  provider.said = 'down';
  await setting.pass();
  now += 61_000;
  await setting.pass();
  provider.said = 'up';
  for (let passes = 0; passes < 4; passes += 1) await setting.pass();
  expect(setting.events.at(-1)).toMatchObject({ kind: 'converged' });
  expect(provider.requests.map(({ labels }) => labels.attempt)).toEqual([0, 0, 1]);
  expect(provider.nodes.map(({ labels }) => labels.attempt)).toEqual([0, 0]);
});

test('keeps the console of the failed node for which a roll halts', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  let now = Date.now();
  const text = fleet.file.text
    .replace('console: up', 'console: ready')
    .replace('startupTimeout: 60s', 'startupTimeout: 60s, retries: 0');
  const { provider, events, pass } = start(dir.path, () => now, text);
  await pass();
  now += 61_000;
  for (let passes = 0; passes < 2; passes += 1) await pass();
  const halted = events.filter(({ kind }) => kind === 'halted');
  expect(halted).toMatchObject([
    {
      node: expect.stringMatching(/^web-/),
      message: expect.stringMatching(/; its console does not show "ready"$/),
    },
  ]);
  expect(await readFile(halted[0]?.console ?? '', 'utf8')).toBe('up');
  // Each failed node has one, and none was destroyed.
  expect(readdirSync(join(dir.path, 'web'))).toHaveLength(2);
  expect(provider.calls.filter((call) => call.startsWith('destroy'))).toEqual([]);
});

test('keeps the newest consoles of a group whose nodes fail again and again', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const text = fleet.file.text
    .replace('console: up', 'console: ready')
    .replace('size: 2', 'size: 1')
    .replace('startupTimeout: 60s', 'startupTimeout: 60s, retries: 30');
  let now = Date.now();
  const { events, pass } = start(dir.path, () => now, text);
  for (let passes = 0; passes < 60; passes += 1) {
    await pass();
    now += 61_000;
  }
  const consoles = events.flatMap(({ console }) => (console === undefined ? [] : [console]));
  expect(consoles.length).toBeGreaterThan(25);
  const kept = readdirSync(join(dir.path, 'web')).map((name) => join(dir.path, 'web', name));
  expect(new Set(kept)).toEqual(new Set(consoles.slice(-20)));
});

test('waits for no node longer because the clock was a day ahead', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const day = 86_400_000;
  let now = Date.now() + day;
  const text = fleet.file.text.replace('startupTimeout: 60s', 'startupTimeout: 60s, minReady: 10s');
  const { events, pass } = start(dir.path, () => now, text);
  for (const step of [0, 0, -day, 11_000]) {
    now += step;
    await pass();
  }
  expect(events.filter(({ kind }) => kind === 'ready')).toHaveLength(2);
});

test('stays healthy when the console has scrolled past the text of a node that was ready', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  // A provider returns the last part of a long console only.
  setting.provider.said = 'lines of services';
  for (let passes = 0; passes < 4; passes += 1) {
    const { groups } = await setting.pass();
    expect(groups.get('web')?.decision.status).toMatchObject({ available: 2, isConverged: true });
  }
});

test('is unhealthy from one text on the console to the other', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const text = fleet.file.text.replace('{ console: up }', '{ console: up, unhealthy: lost }');
  let now = Date.now();
  const setting = start(dir.path, () => now, text);
  const { provider } = setting;
  const later = async (): ReturnType<typeof setting.pass> => {
    now += 5000;
    return setting.pass();
  };
  provider.said = 'up\nlost';
  await setting.pass();
  await setting.pass();
  expect(setting.events.map(({ kind }) => kind)).toEqual(['create', 'create']);
  provider.said = 'up\nlost\nup';
  await converged(setting);
  provider.said = 'lines of services';
  await later();
  provider.said = 'lines of services\nlost';
  // Passes follow one another while anything changes. They are no checks.
  for (let passes = 0; passes < 10; passes += 1) await setting.pass();
  for (let checks = 0; checks < 2; checks += 1) await later();
  expect((await setting.pass()).groups.get('web')?.decision.status.sick).toBe(0);
  expect(provider.calls).toEqual([]);
  // The third failure in a row: all nodes at once are the fault of the probe.
  const pass = await later();
  expect(pass.groups.get('web')?.decision.status).toMatchObject({
    sick: 2,
    holds: ['too many nodes are unhealthy (maxSick): the probe may be wrong'],
  });
  provider.said += '\nup';
  expect((await setting.pass()).groups.get('web')?.decision.status.sick).toBe(0);
});

test('tells why a health check fails', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const refused = createServer();
  refused.listen(0, '127.0.0.1');
  await once(refused, 'listening');
  const { port: free } = refused.address() as AddressInfo;
  refused.close();
  const web = createHttpServer((request, response) => {
    if (request.url === '/drop') request.socket.destroy();
    else if (request.url !== '/wait') response.writeHead(503).end();
  });
  web.listen(0, '127.0.0.1');
  await once(web, 'listening');
  const { port } = web.address() as AddressInfo;
  const problemOf = async (health: string, reached?: number): Promise<string | undefined> => {
    const text = fleet.file.text.replace('{ console: up }', health).replace('size: 2', 'size: 1');
    const { provider, pass } = start(dir.path, Date.now, text);
    provider.said = 'lkt: boot ended';
    if (reached !== undefined)
      provider.published = new Map([[80, { host: '127.0.0.1', port: reached }]]);
    await pass();
    const { groups } = await pass();
    const { health: seen = new Map() } = groups.get('web') ?? {};
    return [...seen.values()][0]?.problem;
  };
  const at = `http://127.0.0.1:${port}`;
  expect(await problemOf('{ tcp: 80 }', free)).toBe(`TCP 127.0.0.1:${free}: connection refused`);
  expect(await problemOf('{ tcp: 80 }')).toMatch(/^it has no address yet .* port 80 /);
  expect(await problemOf('{ http: ":80/" }', port)).toBe(`GET ${at}/: status 503`);
  expect(await problemOf('{ http: ":80/drop" }', port)).toMatch(/\/drop: (?:socket hang up|conn)/);
  expect(await problemOf('{ http: ":80/wait", timeout: 1s }', port)).toBe(
    `GET ${at}/wait: no answer in 1 s`,
  );
  expect(await problemOf('{ console: up, unhealthy: ended }')).toBe('its console shows "ended"');
  expect(await problemOf('{ console: boot }')).toBeUndefined();
  web.closeAllConnections();
  web.close();
});

test('replaces a failed node though its console cannot be kept', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  let now = Date.now();
  // As on a full disk: a device that has no room.
  await mkdir(join(dir.path, 'web'));
  const setting = start(dir.path, () => now);
  await converged(setting);
  const [node] = setting.provider.nodes;
  if (node === undefined) throw new Error('no node');
  const log = join(dir.path, 'web', `${node.name}-${node.labels.created}.log`);
  await symlink('/dev/full', log);
  setting.provider.nodes = setting.provider.nodes.map((one) =>
    one === node ? { ...node, power: 'stopped' } : one,
  );
  now += 1000;
  await setting.pass();
  expect(setting.events.find(({ kind }) => kind === 'error')).toMatchObject({
    node: node.name,
    message: expect.stringMatching(/^its console is not kept: ENOSPC/),
  });
  expect(setting.provider.calls).toContain(`destroy ${node.name}`);
});

test('replaces a node whose attestation is rejected', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  const [node] = setting.provider.nodes;
  if (node === undefined) throw new Error('no node');
  const attest = (attestation: Attestation): void => {
    setting.provider.nodes = setting.provider.nodes.map((one) =>
      one.id === node.id ? { ...one, attestation } : one,
    );
  };
  attest('verified');
  await setting.pass();
  expect(setting.provider.calls).toEqual([]);
  attest('rejected');
  await setting.pass();
  expect(setting.events.findLast(({ kind }) => kind === 'destroy')).toMatchObject({
    node: node.name,
    reason: 'unhealthy',
  });
});
