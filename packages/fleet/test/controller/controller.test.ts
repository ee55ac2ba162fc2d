import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { type FleetConfig, parseFleet } from '../../src/config/fleet-yml.ts';
import { FleetController } from '../../src/controller/controller.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import type { Node } from '../../src/node.ts';
import { type NodeRequest, type Provider, ProviderError } from '../../src/provider.ts';

const image = digestOf('image');
const fleet = parseFleet({
  path: 'fleet.yml',
  text: `version: "1"
name: shop
providers:
  here: { qemu: {} }
groups:
  web:
    provider: here
    image: web@${image}
    size: 2
    health: { console: up }
    roll: { startupTimeout: 60s }
    template: { metadata: { hostname: { content: "\${NODE} of \${GROUP}" } } }
`,
});

/** Returns a controller that opens no image. */
function unopened(of: FleetConfig): FleetController {
  return new FleetController({
    fleet: of,
    providers: new Map([['here', new WrongProvider()]]),
    openImage: async () => Promise.reject(new Error('opened')),
    logDir: '/nonexistent',
    onEvent: () => undefined,
  });
}

/** A provider in memory, which answers wrongly on request. */
class WrongProvider implements Provider {
  capabilities = { fencing: false, console: true, volumes: true, metadata: true };
  nodes: Node[] = [];
  readonly calls: string[] = [];
  readonly requests: NodeRequest[] = [];
  /** The next list, instead of the nodes. */
  answer: readonly Node[] | ProviderError | undefined;
  failure: ProviderError | undefined;

  async prepare(): Promise<string> {
    this.calls.push('prepare');
    return 'image';
  }

  async create(request: NodeRequest): Promise<void> {
    this.calls.push(`create ${request.name}`);
    this.requests.push(request);
    if (this.failure !== undefined) throw this.failure;
    const { name, labels } = request;
    this.nodes.push({
      id: name,
      name,
      power: 'running',
      labels,
      addresses: this.addresses,
      published: this.published,
    });
  }

  /** Where ports of nodes are. */
  published: Node['published'] = new Map();
  addresses: Node['addresses'] = [];

  async destroy(id: string): Promise<void> {
    this.calls.push(`destroy ${id}`);
    this.nodes = this.nodes.filter((node) => node.id !== id);
  }

  async list(): Promise<readonly Node[]> {
    const { answer } = this;
    this.answer = undefined;
    if (answer instanceof ProviderError) throw answer;
    return answer ?? this.nodes;
  }

  async label(id: string, labels: Node['labels']): Promise<void> {
    this.calls.push(`label ${id}`);
    this.nodes = this.nodes.map((node) => (node.id === id ? { ...node, labels } : node));
  }

  kept: readonly string[] = [];

  async volumes(): Promise<readonly string[]> {
    return this.kept;
  }

  said = 'up';

  async console(): Promise<Uint8Array> {
    return Buffer.from(this.said);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

interface Setting {
  readonly provider: WrongProvider;
  readonly controller: FleetController;
  readonly events: FleetEvent[];
  readonly pass: () => ReturnType<FleetController['pass']>;
}

function start(logDir: string, now: () => number = Date.now): Setting {
  const provider = new WrongProvider();
  const events: FleetEvent[] = [];
  const controller = new FleetController({
    fleet,
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir,
    onEvent: (event) => events.push(event),
    now,
  });
  const call = { generation: 1, signal: new AbortController().signal };
  return { provider, controller, events, pass: async () => controller.pass(call) };
}

async function converged(setting: Setting): Promise<void> {
  for (let passes = 0; passes < 4; passes += 1) await setting.pass();
  expect(setting.events.at(-1)).toMatchObject({ kind: 'converged' });
  setting.provider.calls.length = 0;
}

test('creates nodes with metadata of their own, and then does nothing', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  const [first] = setting.provider.requests;
  expect(JSON.parse(Buffer.from(first?.metadata ?? []).toString())).toEqual({
    hostname: { content: `${first?.name} of web` },
  });
  expect(first?.labels).toMatchObject({ fleet: 'shop', group: 'web', image, generation: 1 });
  // Metadata may have secrets, which neither labels nor events show.
  const shown = JSON.stringify([setting.provider.nodes, setting.events]);
  expect(shown).not.toMatch(/ of web|hostname/);
  await setting.pass();
  expect(setting.provider.calls).toEqual([]);
});

test('touches no node when a provider answers nonsense or not at all', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  const [node] = setting.provider.nodes;
  if (node === undefined) throw new Error('no node');
  const at = 'fleet.yml:4:9: providers.here: ';
  const answers = [
    [[node, node], `${at}here lists two nodes of the name ${node.name}`],
    [[{ ...node, name: '' }], `${at}here lists a node without id or name`],
    [[{ ...node, labels: { ...node.labels, fleet: 'other' } }], `of the fleet other`],
    [new ProviderError('nonsense', 'no JSON'), `${at}no JSON`],
  ] as const;
  for (const [answer, message] of answers) {
    setting.provider.answer = answer;
    const failed = expect(setting.pass()).rejects;
    await failed.toMatchObject({ message: expect.stringContaining(message) });
    setting.provider.answer = answer;
    await expect(setting.pass()).rejects.toMatchObject({
      failure: 'nonsense',
      fix: 'check its settings, and what answers there',
      detail: expect.stringContaining('here: { qemu: {} }'),
    });
  }
  setting.provider.answer = new ProviderError('unavailable', 'no answer');
  expect((await setting.pass()).groups.size).toBe(0);
  expect(setting.provider.calls).toEqual([]);
});

/** Starts a fleet with a group at each of two providers. */
function startTwo(logDir: string): Setting & { readonly other: WrongProvider } {
  const [provider, other] = [new WrongProvider(), new WrongProvider()];
  const text = fleet.file.text
    .replace('  here: { qemu: {} }\n', '  here: { qemu: {} }\n  there: { qemu: {} }\n')
    .concat(`  api: { provider: there, image: web@${image}, size: 1, health: { console: up } }\n`);
  const events: FleetEvent[] = [];
  const controller = new FleetController({
    fleet: parseFleet({ path: 'fleet.yml', text }),
    providers: new Map([
      ['here', provider],
      ['there', other],
    ]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir,
    onEvent: (event) => events.push(event),
  });
  const call = { generation: 1, signal: new AbortController().signal };
  return { provider, other, controller, events, pass: async () => controller.pass(call) };
}

test('keeps the groups of other providers while one does not answer', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const { provider, other, controller, pass } = startTwo(dir.path);
  const away = new ProviderError('unavailable', 'no answer');
  const call = { generation: 1, signal: new AbortController().signal };
  provider.answer = away;
  await expect(controller.prepareImages(call)).rejects.toBe(away);
  provider.answer = away;
  await controller.prepareImages(call, { isPatient: true });
  provider.answer = away;
  const { groups, unreachable } = await pass();
  expect([...groups.keys()]).toEqual(['api']);
  expect([...unreachable]).toEqual([['here', away]]);
  expect(other.nodes).toHaveLength(1);
  expect(provider.nodes).toEqual([]);
  provider.answer = away;
  const seen = await controller.observe(call.signal);
  expect([...seen.groups.keys()]).toEqual(['api']);
  expect((await pass()).unreachable.size).toBe(0);
  expect(provider.nodes).toHaveLength(2);
});

test('touches no node of any provider if one answers nonsense at first', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const { provider, other, controller } = startTwo(dir.path);
  other.answer = new ProviderError('nonsense', 'no JSON');
  const call = { generation: 1, signal: new AbortController().signal };
  await expect(controller.prepareImages(call, { isPatient: true })).rejects.toMatchObject({
    failure: 'nonsense',
    message: 'fleet.yml:5:10: providers.there: no JSON',
  });
  expect([...provider.calls, ...other.calls]).toEqual([]);
});

test('asks again when all nodes seem to be gone', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  setting.provider.answer = [];
  await setting.pass();
  expect(setting.provider.calls).toEqual([]);
  await setting.pass();
  expect(setting.provider.calls).toEqual([]);
  // They are gone indeed.
  setting.provider.nodes = [];
  await setting.pass();
  expect(setting.provider.calls).toEqual([]);
  await setting.pass();
  expect(setting.provider.calls.filter((call) => call.startsWith('create'))).toHaveLength(2);
});

test('lists an orphan once, and does not touch it', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  const [node] = setting.provider.nodes;
  if (node === undefined) throw new Error('no node');
  const orphan = { ...node, id: 'old', name: 'old-0', labels: { ...node.labels, group: 'old' } };
  setting.provider.nodes.push(orphan);
  for (let passes = 0; passes < 3; passes += 1)
    expect((await setting.pass()).orphans).toEqual([orphan]);
  expect(setting.provider.calls).toEqual([]);
  expect(setting.events.filter(({ kind }) => kind === 'orphan')).toHaveLength(1);
});

test('lists volumes that no node of the file or of the provider has', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const provider = new WrongProvider();
  provider.kept = ['shop.web.0.data', 'shop.web.1.data', 'shop.web.2.data', 'shop.old.0.data'];
  const controller = new FleetController({
    fleet: parseFleet({
      path: 'fleet.yml',
      text: fleet.file.text.replace(/template: .*/, 'template: { volumes: { data: 1G } }'),
    }),
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir: dir.path,
    onEvent: () => undefined,
  });
  const { signal } = new AbortController();
  const lost = async (): Promise<unknown> => (await controller.observe(signal)).orphanVolumes;
  expect(await lost()).toEqual(['shop.web.2.data', 'shop.old.0.data']);
  await controller.pass({ generation: 1, signal });
  const [node] = provider.nodes;
  if (node === undefined) throw new Error('no node');
  // A node that is still there has its volumes.
  provider.nodes.push({ ...node, id: 'x', name: 'x', labels: { ...node.labels, slot: 2 } });
  expect(await lost()).toEqual(['shop.old.0.data']);
  provider.kept = ['shop.web.0.data'];
  expect(await lost()).toBeUndefined();
});

test('ends a pass at the first failure, and stops when another controller has taken over', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  setting.provider.failure = new ProviderError('capacity', 'no room');
  const pass = await setting.pass();
  expect(pass.groups.get('web')?.error?.failure).toBe('capacity');
  expect(setting.provider.calls.filter((call) => call.startsWith('create'))).toHaveLength(1);
  expect(setting.events.at(-1)).toMatchObject({ kind: 'error', message: 'no room' });
  setting.provider.failure = new ProviderError('fenced', 'another controller');
  await expect(setting.pass()).rejects.toMatchObject({ failure: 'fenced' });
});

test.for<[string, string, string]>([
  [
    'web: { provider: here, IMAGE, nodes: [a, b] }\n  api: { provider: here, IMAGE, nodes: [b] }',
    'groups.api.nodes: the groups web and api have a node b',
    'choose names that are unique in the fleet',
  ],
  [
    'web: { provider: here, IMAGE, size: 2, template: { volumes: { data: 1G } } }\n  api: { provider: here, IMAGE, nodes: [web-1] }',
    'groups.api.nodes: the groups web and api have a node web-1',
    'choose names that are unique in the fleet',
  ],
  [
    'a-name-that-has-exactly-32-chars: { provider: here, IMAGE, size: 2 }',
    'names of nodes of "a-name-that-has-exactly-32-chars" would have 43 characters',
    'shorten the name of the group by 3',
  ],
])('rejects names of nodes before any is touched: %s', ([groups, message, fix]) => {
  const head = fleet.file.text.slice(0, fleet.file.text.indexOf('  web:'));
  const text = `${head}  ${groups.replaceAll('IMAGE', `image: web@${image}`)}\n`;
  const open = (): FleetController => unopened(parseFleet({ path: 'fleet.yml', text }));
  expect(open).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
      fix,
    }),
  );
});

test('believes no forwarded port of a guest that boots still', async () => {
  // As QEMU does: it accepts connections, and keeps them, before its guest answers.
  const server = createServer((socket) => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const provider = new WrongProvider();
  provider.published = new Map([[80, { host: '127.0.0.1', port }]]);
  provider.said = 'Linux version 6';
  const events: FleetEvent[] = [];
  const controller = new FleetController({
    fleet: parseFleet({
      path: 'fleet.yml',
      text: fleet.file.text.replace('{ console: up }', '{ tcp: 80 }'),
    }),
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir: '/nonexistent',
    onEvent: (event) => events.push(event),
  });
  const { signal } = new AbortController();
  for (let passes = 0; passes < 3; passes += 1) await controller.pass({ generation: 1, signal });
  expect(events.map(({ kind }) => kind)).toEqual(['create', 'create']);
  provider.said += '\nlkt: boot complete 4.2\n';
  for (let passes = 0; passes < 3; passes += 1) await controller.pass({ generation: 1, signal });
  expect(events.at(-1)).toMatchObject({ kind: 'converged' });
  // The console of a node that was ready is not read again: it may be long.
  provider.said = '';
  await controller.pass({ generation: 1, signal });
  expect(events.at(-1)).toMatchObject({ kind: 'converged' });
  server.close();
});

test('counts attempts anew once a node was ready, so that a later failure halts nothing', async () => {
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
  const provider = new WrongProvider();
  const events: FleetEvent[] = [];
  let now = Date.now();
  const text = fleet.file.text
    .replace('console: up', 'console: ready')
    .replace('startupTimeout: 60s', 'startupTimeout: 60s, retries: 0');
  const controller = new FleetController({
    fleet: parseFleet({ path: 'fleet.yml', text }),
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir: dir.path,
    onEvent: (event) => events.push(event),
    now: () => now,
  });
  const { signal } = new AbortController();
  await controller.pass({ generation: 1, signal });
  now += 61_000;
  for (let passes = 0; passes < 2; passes += 1) await controller.pass({ generation: 1, signal });
  const halted = events.filter(({ kind }) => kind === 'halted');
  expect(halted).toMatchObject([{ node: expect.stringMatching(/^web-/) }]);
  expect(await readFile(halted[0]?.console ?? '', 'utf8')).toBe('up');
  // Each failed node has one, and none was destroyed.
  expect(readdirSync(join(dir.path, 'web'))).toHaveLength(2);
  expect(provider.calls.filter((call) => call.startsWith('destroy'))).toEqual([]);
});

test('waits for no node longer because the clock was a day ahead', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const day = 86_400_000;
  let now = Date.now() + day;
  const provider = new WrongProvider();
  const events: FleetEvent[] = [];
  const controller = new FleetController({
    fleet: parseFleet({
      path: 'fleet.yml',
      text: fleet.file.text.replace('startupTimeout: 60s', 'startupTimeout: 60s, minReady: 10s'),
    }),
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir: dir.path,
    onEvent: (event) => events.push(event),
    now: () => now,
  });
  const { signal } = new AbortController();
  for (const step of [0, 0, -day, 11_000]) {
    now += step;
    await controller.pass({ generation: 1, signal });
  }
  expect(events.filter(({ kind }) => kind === 'ready')).toHaveLength(2);
});

test('rejects metadata with an unknown variable before any node is touched', () => {
  const text = fleet.file.text.replace('${NODE}', '${NOWHERE}');
  const wrong = parseFleet({ path: 'fleet.yml', text });
  expect(() => unopened(wrong)).toThrow(/^fleet\.yml:12:27: .*\$\{NOWHERE\} has no value here/);
});

test('rejects metadata that is too long, at its place', () => {
  const text = fleet.file.text.replace('${NODE}', 'x'.repeat(65_536));
  const open = (): FleetController => unopened(parseFleet({ path: 'fleet.yml', text }));
  expect(open).toThrow(
    expect.objectContaining({
      message: 'fleet.yml:12:27: groups.web.template.metadata: the metadata exceeds 64 KiB',
      fix: 'put large files into the image',
    }),
  );
});

test.for([
  ['metadata', 'template: { metadata: { a: { content: b } } }', 'here delivers no metadata'],
  ['volumes', 'template: { volumes: { data: 64M } }', 'here attaches no volumes'],
  ['console', 'health: { console: up }', 'here has no console to check'],
] as const)('rejects %s where the provider has no channel for it', ([ability, line, message]) => {
  // Machines that boot from the network get no metadata: HTTP would not authenticate it.
  const provider = new WrongProvider();
  provider.capabilities = { ...provider.capabilities, [ability]: false };
  const text = fleet.file.text
    .replace(/ {4}(?:template|health): .*\n/g, '')
    .replace('    size: 2\n', `    size: 2\n    health: { tcp: 80 }\n    ${line}\n`)
    .replace(/ {4}health: \{ tcp: 80 \}\n(?= {4}health)/, '');
  const options = {
    fleet: parseFleet({ path: 'fleet.yml', text }),
    providers: new Map([['here', provider]]),
    openImage: async () => Promise.reject(new Error('opened')),
    logDir: '/nonexistent',
    onEvent: () => undefined,
  };
  expect(() => new FleetController(options)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(message),
      fix: expect.stringMatching(/./),
    }),
  );
  provider.capabilities = { ...provider.capabilities, [ability]: true };
  expect(new FleetController(options).specs.size).toBe(1);
});

test('destroys a node that serves only after its drain has ended', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const drained = join(dir.path, 'drained');
  const script = `sleep 0.1; echo $LKT_GROUP $LKT_NODE at $LKT_ADDRESS >> ${drained}`;
  const drain = `    drain: { command: [sh, -c, '${script}'], timeout: 30s }\n`;
  const provider = new WrongProvider();
  provider.addresses = ['192.0.2.7'];
  const events: FleetEvent[] = [];
  const { signal } = new AbortController();
  const roll = async (digest: string): Promise<void> => {
    const text = fleet.file.text.replace(image, digest) + drain;
    const controller = new FleetController({
      fleet: parseFleet({ path: 'fleet.yml', text }),
      providers: new Map([['here', provider]]),
      openImage: async (_, wanted) => ({ digest: wanted, files: { kernel: '', cmdline: '' } }),
      logDir: dir.path,
      onEvent: (event) => events.push(event),
    });
    while (events.at(-1)?.kind !== 'converged') {
      await sleep(5);
      await controller.pass({ generation: 1, signal });
      // Each destroyed node was drained before.
      const names = events
        .filter(({ kind }) => kind === 'destroy')
        .map(({ node }) => `web ${node} at 192.0.2.7`);
      const done = await readFile(drained, 'utf8').catch(() => '');
      for (const name of names) expect(done.split('\n')).toContain(name);
    }
  };
  await roll(image);
  const old = provider.nodes.map(({ name }) => name);
  events.length = 0;
  await roll(digestOf('other'));
  const of = (wanted: string): readonly unknown[] =>
    events.filter(({ kind }) => kind === wanted).map(({ node }) => node);
  expect(new Set(of('drain'))).toEqual(new Set(old));
  expect(new Set(of('destroy'))).toEqual(new Set(old));
  expect(of('error')).toEqual([]);
});

test('destroys a node at the end of the time for a drain that fails', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  let now = Date.now();
  const provider = new WrongProvider();
  const events: FleetEvent[] = [];
  const { signal } = new AbortController();
  const controllerOf = (digest: string): FleetController =>
    new FleetController({
      fleet: parseFleet({
        path: 'fleet.yml',
        text: `${fleet.file.text.replace(image, digest)}    drain: { command: ['false'], timeout: 60s }\n`,
      }),
      providers: new Map([['here', provider]]),
      openImage: async (_, wanted) => ({ digest: wanted, files: { kernel: '', cmdline: '' } }),
      logDir: dir.path,
      onEvent: (event) => events.push(event),
      now: () => now,
    });
  const first = controllerOf(image);
  for (let passes = 0; passes < 4; passes += 1) await first.pass({ generation: 1, signal });
  const second = controllerOf(digestOf('other'));
  while (!events.some(({ kind }) => kind === 'error')) {
    await sleep(5);
    await second.pass({ generation: 1, signal });
  }
  expect(events.at(-1)?.message).toMatch(/^false ended with status 1/);
  expect(events.some(({ kind }) => kind === 'destroy')).toBe(false);
  now += 61_000;
  await second.pass({ generation: 1, signal });
  expect(events.some(({ kind }) => kind === 'destroy')).toBe(true);
});

test('forgets the list of the last pass, in a large fleet', async () => {
  const provider = new WrongProvider();
  const large = parseFleet({
    ...fleet.file,
    text: fleet.file.text.replace('size: 2', 'size: 1000'),
  });
  const controller = new FleetController({
    fleet: large,
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir: '/nowhere',
    onEvent: () => undefined,
  });
  const { signal } = new AbortController();
  const pass = async (): Promise<WeakRef<object>> => {
    // Each list has nodes of its own, as those of real providers.
    provider.nodes = provider.nodes.map((node) => ({ ...node, labels: { ...node.labels } }));
    await controller.pass({ generation: 1, signal });
    return new WeakRef(provider.nodes[0] ?? {});
  };
  await pass();
  expect(provider.nodes).toHaveLength(1000);
  const before = await pass();
  await sleep(0);
  await pass();
  await sleep(0);
  await pass();
  expect(before.deref()).toBeUndefined();
});
