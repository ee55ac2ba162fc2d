import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { parseFleet } from '../../src/config/fleet-yml.ts';
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

/** A provider in memory, which answers wrongly on request. */
class WrongProvider implements Provider {
  readonly capabilities = { fencing: false, console: true, volumes: true, metadata: true };
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
      addresses: [],
      published: new Map(),
    });
  }

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

  async console(): Promise<Uint8Array> {
    return Buffer.from('up');
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
  await setting.pass();
  expect(setting.provider.calls).toEqual([]);
});

test('touches no node when a provider answers nonsense or not at all', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  const [node] = setting.provider.nodes;
  if (node === undefined) throw new Error('no node');
  const answers = [
    [node, node],
    [{ ...node, name: '' }],
    [{ ...node, labels: { ...node.labels, fleet: 'other' } }],
    new ProviderError('unavailable', 'no answer'),
  ] as const;
  for (const answer of answers) {
    setting.provider.answer = answer;
    await expect(setting.pass()).rejects.toThrow(ProviderError);
  }
  expect(setting.provider.calls).toEqual([]);
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

test('rejects metadata with an unknown variable before any node is touched', () => {
  const text = fleet.file.text.replace('${NODE}', '${NOWHERE}');
  const wrong = parseFleet({ path: 'fleet.yml', text });
  expect(
    () =>
      new FleetController({
        fleet: wrong,
        providers: new Map([['here', new WrongProvider()]]),
        openImage: async () => Promise.reject(new Error('opened')),
        logDir: '/nonexistent',
        onEvent: () => undefined,
      }),
  ).toThrow(/^fleet\.yml:12:27: .*\$\{NOWHERE\} has no value here/);
});
