import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseFleet } from '../../src/config/fleet-yml.ts';
import { FleetController } from '../../src/controller/controller.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import { ProviderError } from '../../src/provider.ts';
import { converged, fleet, image, type Setting, start, WrongProvider } from './wrong-provider.ts';

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

test('changes no node when a provider responds malformed or not at all', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  const [node] = setting.provider.nodes;
  if (node === undefined) throw new Error('no node');
  const at = 'fleet.yml:4:9: providers.here: ';
  const answers = [
    [[node, node], `${at}here lists two nodes of the name ${node.name}`],
    [[node, { ...node, name: 'other' }], `${at}here lists two nodes of the id ${node.id}`],
    [[{ ...node, name: '' }], `${at}here lists a node without id or name`],
    [[{ ...node, labels: { ...node.labels, fleet: 'other' } }], `of the fleet other`],
    [new ProviderError('malformed', 'no JSON'), `${at}no JSON`],
  ] as const;
  for (const [answer, message] of answers) {
    setting.provider.answer = answer;
    const failed = expect(setting.pass()).rejects;
    await failed.toMatchObject({ message: expect.stringContaining(message) });
    setting.provider.answer = answer;
    await expect(setting.pass()).rejects.toMatchObject({
      failure: 'malformed',
      fix: 'check its settings, and what answers there',
      detail: expect.stringContaining('here: { qemu: {} }'),
    });
  }
  setting.provider.answer = new ProviderError('unavailable', 'no answer');
  expect((await setting.pass()).groups.size).toBe(0);
  expect(setting.provider.calls).toEqual([]);
});

function groupText(name: string, nodes: string): string {
  return `  ${name}:
    provider: here
    image: web@${image}
    nodes: [${nodes}]
    health: { console: up }
`;
}

test('gives a node to another group once its own has destroyed it', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const top = fleet.file.text.split('  web:')[0] ?? '';
  const before = start(dir.path, Date.now, top + groupText('api', 'b') + groupText('web', 'a, c'));
  await converged(before);
  const { provider } = before;
  const events: FleetEvent[] = [];
  const text = top + groupText('api', 'b, c') + groupText('web', 'a');
  const controller = new FleetController({
    fleet: parseFleet({ path: 'fleet.yml', text }),
    providers: new Map([['here', provider]]),
    openImage: async (_, digest) => ({ digest, files: { kernel: '', cmdline: '' } }),
    logDir: dir.path,
    onEvent: (event) => events.push(event),
  });
  const call = { generation: 1, signal: new AbortController().signal };
  const first = await controller.pass(call);
  expect(first.groups.get('api')?.decision.status.holds).toEqual(['c is still a node of web']);
  expect(provider.calls).toEqual(['destroy c']);
  await controller.pass(call);
  expect(provider.calls).toEqual(['destroy c', 'prepare', 'create c']);
  expect(provider.nodes.map(({ name, labels }) => `${labels.group} ${name}`).toSorted()).toEqual([
    'api b',
    'api c',
    'web a',
  ]);
});

/** Starts a fleet with a group at each of two providers. */
function startTwo(logDir: string): Setting & { readonly other: WrongProvider } {
  const [provider, other] = [new WrongProvider(), new WrongProvider()];
  const text = fleet.file.text
    .replace(
      '  here: { qemu: {} }\n',
      '  here: { qemu: {} }\n  there: { qemu: { state: there } }\n',
    )
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

test('changes no node at any provider if the first list of one is malformed', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const { provider, other, controller } = startTwo(dir.path);
  other.answer = new ProviderError('malformed', 'no JSON');
  const call = { generation: 1, signal: new AbortController().signal };
  await expect(controller.prepareImages(call, { isPatient: true })).rejects.toMatchObject({
    failure: 'malformed',
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
    expect((await setting.pass()).orphans).toEqual([{ ...orphan, provider: 'here' }]);
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

test('tells once that a change fails again and again, and its success', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  const told = async (failure?: ProviderError): Promise<readonly string[]> => {
    setting.provider.failure = failure;
    setting.events.length = 0;
    for (let passes = 0; passes < 3; passes += 1) await setting.pass();
    return setting.events.map(({ kind, message = '' }) => `${kind} ${message}`.trim());
  };
  expect(await told(new ProviderError('capacity', 'no room'))).toEqual(['error no room']);
  // A node whose answer was lost may exist.
  expect(await told(new ProviderError('unavailable', 'no answer'))).toEqual([
    'create',
    'error no answer',
  ]);
  expect(await told()).toEqual(['create', 'ready', 'ready', 'converged']);
});

test('prepares an image again that the provider has lost', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
  const setting = start(dir.path);
  await converged(setting);
  setting.provider.nodes = setting.provider.nodes.slice(1);
  setting.provider.failure = new ProviderError('invalid', 'the image was not prepared');
  await setting.pass();
  setting.provider.failure = undefined;
  setting.provider.nodes = setting.provider.nodes.slice(0, 1);
  await setting.pass();
  expect(setting.provider.calls.filter((call) => call === 'prepare')).toHaveLength(1);
  expect(setting.provider.nodes).toHaveLength(2);
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
