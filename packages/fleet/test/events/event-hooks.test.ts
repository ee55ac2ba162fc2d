import { once } from 'node:events';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { EventSettings } from '../../src/config/fleet-yml.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import { EventHooks } from '../../src/events/event-hooks.ts';

const { signal } = new AbortController();

interface Page extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly authorization: string | undefined; readonly body: string }[];
  /** Statuses of the next answers; then 204. */
  readonly statuses: number[];
}

async function startPage(): Promise<Page> {
  const requests: Page['requests'] = [];
  const statuses: number[] = [];
  const server = createServer();
  server.on('request', async (request, response) => {
    const body = await text(request);
    const { authorization } = request.headers;
    expect(request.method).toBe('POST');
    expect(request.headers['content-type']).toBe('application/json');
    requests.push({ authorization, body });
    response.writeHead(statuses.shift() ?? 204, { location: '/elsewhere' }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    requests,
    statuses,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function event(node: string): FleetEvent {
  return { time: '2026-01-01T00:00:00.000Z', fleet: 'shop', kind: 'ready', node };
}

async function tell(
  settings: EventSettings,
  nodes: readonly string[],
  dir = '/',
): Promise<readonly string[]> {
  const failures: string[] = [];
  const fail = (message: string): void => {
    failures.push(message);
  };
  await using hooks = await EventHooks.open({ settings, dir, variables: {}, signal, fail });
  for (const node of nodes) hooks.emit(event(node));
  await hooks.settled();
  return failures;
}

test('posts each event to the webhook in order, with the token of a private file', async () => {
  await using page = await startPage();
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-hooks-'));
  await writeFile(join(dir.path, 'token'), 'secret-token\n', { mode: 0o600 });
  const webhook = { url: page.url, tokenFile: 'token' };
  expect(await tell({ webhook }, ['a', 'b', 'c'], dir.path)).toEqual([]);
  expect(page.requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual(
    ['a', 'b', 'c'].map(event),
  );
  expect(page.requests.every((one) => one.authorization === 'Bearer secret-token')).toBe(true);
});

test('rejects the file of a token that others may read', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-hooks-'));
  await writeFile(join(dir.path, 'token'), 'secret-token\n', { mode: 0o644 });
  const webhook = { url: 'http://127.0.0.1:1/', tokenFile: 'token' };
  await expect(tell({ webhook }, [], dir.path)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
});

test('reports a page that refuses, follows no redirection, and tries again after an overload', async () => {
  await using page = await startPage();
  page.statuses.push(403, 302, 503, 204);
  expect(await tell({ webhook: { url: page.url } }, ['a', 'b', 'c'])).toEqual([
    'webhook: status 403',
    'webhook: status 302',
  ]);
  expect(page.requests).toHaveLength(4);
});

test('runs the program once for each event, and then the webhook', async () => {
  await using page = await startPage();
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-hooks-'));
  const file = join(dir.path, 'events');
  const command = ['sh', '-c', `cat >> ${file}; echo $LKT_EVENT $LKT_NODE >> ${file}`];
  expect(await tell({ command, webhook: { url: page.url } }, ['a', 'b'])).toEqual([]);
  const lines = ['a', 'b'].flatMap((node) => [JSON.stringify(event(node)), `ready ${node}`]);
  expect(await readFile(file, 'utf8')).toBe(`${lines.join('\n')}\n`);
  expect(page.requests).toHaveLength(2);
  expect(await tell({ command: ['false'], webhook: { url: page.url } }, ['a'])).toEqual([
    expect.stringMatching(/^event program: false ended with status 1/),
  ]);
  expect(page.requests).toHaveLength(3);
});

test('drops and counts the events that overflow the queue of a slow program', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-hooks-'));
  const gate = join(dir.path, 'gate');
  const command = ['sh', '-c', `while [ ! -e ${gate} ]; do sleep 0.05; done; exec true`];
  const failures: string[] = [];
  const fail = (message: string): void => {
    failures.push(message);
  };
  const stop = new AbortController();
  const options = { settings: { command }, dir: '/', variables: {}, signal: stop.signal, fail };
  await using hooks = await EventHooks.open(options);
  for (let index = 0; index < 1010; index += 1) hooks.emit(event(`n${index}`));
  await writeFile(gate, '');
  while (failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  stop.abort();
  expect(failures).toEqual(['10 events were lost: the program or the webhook is too slow']);
});

test('waits for a page that hangs no longer than for one event when the controller ends', async () => {
  const hanging = createServer();
  hanging.listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  const { port } = hanging.address() as AddressInfo;
  const settings = { webhook: { url: `http://127.0.0.1:${port}/` } };
  const failures: string[] = [];
  const fail = (message: string): void => {
    failures.push(message);
  };
  const hooks = await EventHooks.open({
    settings,
    dir: '/',
    variables: {},
    signal,
    fail,
    limitMs: 300,
  });
  for (let index = 0; index < 1000; index += 1) hooks.emit(event(`n${index}`));
  await hooks[Symbol.asyncDispose]();
  const [last = '', ...before] = failures.toReversed();
  expect(new Set(before)).toEqual(new Set(['webhook: no end after 0.3 s']));
  const lost = Number(/^(\d+) events were lost/.exec(last)?.[1]);
  expect(lost + before.length).toBe(1000);
  expect(lost).toBeGreaterThan(900);
  hanging.closeAllConnections();
  hanging.close();
});
