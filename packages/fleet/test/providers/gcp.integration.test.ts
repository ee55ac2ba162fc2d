import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Digest, digestOf } from '@lkt/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FleetController, FleetPass } from '../../src/controller/controller.ts';
import { nameOf } from '../../src/engine/group-name.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import { GcpEngine } from '../../src/providers/gcp/engine.ts';
import { type GcpServer, startGcpServer } from './gcp-server.ts';
import { engineController, passOf, type PassOptions, statusOf } from './engine-passes.ts';

// Google's own cloud has not been met: the server rejects what Google documents as invalid.
const [one, two] = [digestOf('one'), digestOf('two')];
const NAME = nameOf('shop', 'web');
const DAY_MS = 86_400_000;
let dir: string;
let server: GcpServer;
let engine: GcpEngine;
let events: FleetEvent[];
let now: number;

async function start(place?: string): Promise<void> {
  server = await startGcpServer(place);
  await writeFile(join(dir, 'key.json'), server.key, { mode: 0o600 });
  const [kind = '', name = ''] = (place ?? 'zones/europe-west3-a').split('/');
  const location = kind === 'zones' ? { zone: name } : { region: name };
  engine = new GcpEngine(
    { project: 'shop-1234', location, bucket: 'images', endpoint: server.endpoint },
    { credentialsFile: join(dir, 'key.json'), variables: {} },
    () => now,
  );
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lkt-gcp-'));
  await writeFile(join(dir, 'disk'), Buffer.concat([Buffer.alloc(2 ** 20), Buffer.from('end')]));
  events = [];
  now = Date.now();
  await start();
});

afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
  expect(server.problems).toEqual([]);
});

interface Options {
  readonly size?: number;
  readonly more?: string;
  readonly settings?: string;
}

function textOf(image: Digest, { size = 3, more = '', settings = '' }: Options = {}): string {
  return `version: "1"
name: shop
providers:
  frankfurt: { gcp: { project: shop-1234, zone: europe-west3-a, bucket: images } }
groups:
  web:
    provider: frankfurt
    image: web@${image}
    size: ${size}
    template: { metadata: { hostname: { content: "\${GROUP}" } } }
    gcp: { machineType: e2-small, networkTags: [web]${settings} }
${more}`;
}

function controllerOf(image: Digest, options: Options = {}): FleetController {
  const text = textOf(image, options);
  return engineController({ text, engine, events, disk: join(dir, 'disk'), now: () => now });
}

async function pass(image: Digest, options: Options & PassOptions = {}): Promise<FleetPass> {
  // A new controller each time: it has no state of its own.
  return passOf(controllerOf(image, options), options);
}

function groupOf(): Readonly<Record<string, unknown>> {
  return server.groups.get(NAME)?.manager ?? {};
}

const read = (name: string): string =>
  readFileSync(join(import.meta.dirname, `../../src/providers/gcp/${name}.ts`), 'utf8');

test('documents the rights of every call, and no others', () => {
  const source = read('engine') + read('machine-image');
  const rights: Readonly<Record<string, string>> = {
    insert: 'create',
    patch: 'update',
    resize: 'update',
    recreateInstances: 'update',
    listManagedInstances: 'list',
    aggregatedList: 'list',
  };
  const calls = [...source.matchAll(/'(images|objects|instance\w*)\.(\w+)'/g)].map(
    ([, kind = '', verb = '']) =>
      `${kind === 'objects' ? 'storage' : 'compute'}.${kind}.${rights[verb] ?? verb}`,
  );
  const docs = readFileSync(join(import.meta.dirname, '../../../../docs/fleet/gcp.md'), 'utf8');
  const [, role = ''] = /```yaml\n(title: [\s\S]*?)```/.exec(docs) ?? [];
  const allowed = [...role.matchAll(/^ {2}- ([\w.]+)$/gm)].map(([, right]) => right);
  // Google checks them when an image, a template or a group names something, and for operations.
  const implied = [
    'compute.globalOperations.get',
    'compute.regionOperations.get',
    'compute.zoneOperations.get',
    'compute.disks.create',
    'compute.healthChecks.use',
    'compute.images.useReadOnly',
    'compute.instanceTemplates.useReadOnly',
    'compute.instances.create',
    'compute.instances.delete',
    'compute.instances.setLabels',
    'compute.instances.setMetadata',
    'compute.instances.setTags',
    'compute.networks.use',
    'compute.subnetworks.use',
    'compute.subnetworks.useExternalIp',
  ];
  expect(new Set(allowed)).toEqual(new Set([...calls, ...implied]));
});

test('uploads a disk once, and creates a group with a template', async () => {
  await pass(one);
  expect(server.changes()).toEqual([
    'objects.insert',
    'images.insert',
    'instanceTemplates.insert',
    'instanceGroupManagers.insert',
  ]);
  const [archive = Buffer.alloc(0)] = server.objects.values();
  const tar = gunzipSync(archive);
  expect(tar.toString('latin1', 0, 8)).toBe('disk.raw');
  // The size of the sparse file is a whole GiB, and only the block with data is in the archive.
  expect(Number.parseInt(tar.toString('latin1', 483, 494), 8)).toBe(2 ** 30);
  expect(tar.length).toBeLessThan(2 ** 20);
  expect(tar.includes('end')).toBe(true);
  const [image] = server.images.values();
  expect(image).toMatchObject({
    description: one,
    guestOsFeatures: [{ type: 'VIRTIO_SCSI_MULTIQUEUE' }, { type: 'UEFI_COMPATIBLE' }],
  });
  const [template] = server.templates.values();
  expect(template).toMatchObject({
    description: expect.stringMatching(/^[0-9a-f]{16} sha256:[0-9a-f]{64} [0-9a-f]{16}$/),
    properties: {
      machineType: 'e2-small',
      serviceAccounts: [],
      tags: { items: ['web'] },
      metadata: {
        items: [
          { key: 'serial-port-enable', value: 'false' },
          { key: 'user-data', value: '{"hostname":{"content":"web"}}' },
        ],
      },
    },
  });
  expect(groupOf()).toMatchObject({
    baseInstanceName: NAME,
    targetSize: 3,
    updatePolicy: {
      type: 'OPPORTUNISTIC',
      replacementMethod: 'SUBSTITUTE',
      maxSurge: { fixed: 1 },
      maxUnavailable: { fixed: 0 },
    },
  });
  expect(statusOf(await pass(one))).toMatchObject({ isConverged: false, listed: 0 });
  server.settle();
  expect(statusOf(await pass(one))).toMatchObject({ isConverged: true, available: 3, stale: 0 });
  expect(server.changes()).toEqual([]);
  expect(events.map(({ kind }) => kind)).toEqual(['stated', 'converged']);
});

test('rolls proactively to another image, awaits its end, and stops for a third', async () => {
  await pass(one);
  server.settle();
  server.changes();
  await pass(two);
  expect(server.changes()).toEqual([
    'objects.insert',
    'images.insert',
    'instanceTemplates.insert',
    'instanceGroupManagers.patch',
  ]);
  expect(groupOf()).toMatchObject({
    versions: [{ instanceTemplate: expect.stringContaining(NAME) }],
    updatePolicy: { type: 'PROACTIVE', minimalAction: 'REPLACE', maxSurge: { fixed: 1 } },
  });
  const rolling = await pass(two);
  expect(statusOf(rolling)).toMatchObject({ isConverged: false, stale: 3, holds: [] });
  expect(rolling.groups.get('web')?.decision.live[0]?.staleFor).toBe('image');
  await pass(one);
  expect(server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(groupOf()).toMatchObject({ updatePolicy: { type: 'OPPORTUNISTIC' } });
  await pass(one);
  server.settle();
  expect(statusOf(await pass(one))).toMatchObject({ isConverged: true });
});

test('halts when no node of an image is healthy in time', async () => {
  await pass(one);
  server.settle();
  await pass(two);
  const [group] = server.groups.values();
  const [template = ''] = [...server.templates.keys()].slice(-1);
  const [first] = group?.members ?? [];
  if (first === undefined) throw new Error('no member');
  group?.members.push({
    ...first,
    name: 'new-1',
    template,
    health: 'UNHEALTHY',
    action: 'VERIFYING',
    error: 'ZONE_RESOURCE_POOL_EXHAUSTED',
  });
  server.changes();
  expect(statusOf(await pass(two))).toMatchObject({ isHalted: false });
  now += 600_001;
  expect(statusOf(await pass(two))).toMatchObject({
    isHalted: true,
    holds: ["the engine's roll failed: ZONE_RESOURCE_POOL_EXHAUSTED: words of Google"],
  });
  expect(server.changes()).toEqual([]);
  await pass(two, { retry: true });
  expect(server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(statusOf(await pass(two))).toMatchObject({ isHalted: false });
});

/** Adds a node of the last template that Google does not get healthy. */
function addFailing(): void {
  const [group] = server.groups.values();
  const [template = ''] = [...server.templates.keys()].slice(-1);
  const [first] = group?.members ?? [];
  if (first === undefined) throw new Error('no member');
  const { versions } = groupOf() as { readonly versions: readonly { readonly name?: string }[] };
  const version = versions[0]?.name ?? '';
  const failing = { name: 'new-1', template, version, health: 'UNHEALTHY', action: 'VERIFYING' };
  group?.members.push({ ...first, ...failing });
}

test('returns to the image before a failed one, and tries that no second time', async () => {
  const auto = { more: '    roll: { rollback: auto }\n' };
  await pass(one, auto);
  server.settle();
  await pass(two, auto);
  const [old = ''] = server.templates.keys();
  addFailing();
  now += 600_001;
  server.changes();
  events.length = 0;
  await pass(two, auto);
  expect(server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(events).toMatchObject([{ kind: 'rollback', group: 'web', image: one }]);
  expect(groupOf()).toMatchObject({
    versions: [{ instanceTemplate: `projects/shop-1234/global/instanceTemplates/${old}` }],
    updatePolicy: { type: 'PROACTIVE', maxSurge: { fixed: 1 }, maxUnavailable: { fixed: 0 } },
  });
  // A pause does not leave nodes of the bad image.
  const paused = { more: '    roll: { rollback: auto, paused: true }\n' };
  for (const options of [auto, paused])
    expect(statusOf(await pass(two, options))).toMatchObject({
      isHalted: false,
      isRolledBack: true,
      image: one,
      holds: ["the engine's roll failed, and is rolled back"],
    });
  server.settle();
  now += 600_001;
  expect(statusOf(await pass(two, auto))).toMatchObject({
    isHalted: true,
    isRolledBack: true,
    available: 3,
  });
  expect(server.changes()).toEqual([]);
  // Until a retry, and another time back.
  await pass(two, { ...auto, retry: true });
  expect(statusOf(await pass(two, auto))).toMatchObject({ isHalted: false, isRolledBack: false });
  addFailing();
  now += 600_001;
  await pass(two, auto);
  server.settle();
  // Another image is another try.
  server.changes();
  await pass(digestOf('three'), auto);
  expect(server.changes().at(-1)).toBe('instanceGroupManagers.patch');
  server.settle();
  expect(statusOf(await pass(digestOf('three'), auto))).toMatchObject({
    isConverged: true,
    isRolledBack: false,
  });
});

test('halts when the nodes of a roll for age fail, and returns to no image before', async () => {
  const auto = { more: '    roll: { rollback: auto }\n    expire: { after: 30d }\n' };
  await pass(two, auto);
  server.settle(new Date(now));
  await pass(one, auto);
  server.settle(new Date(now));
  now += 30 * DAY_MS;
  await pass(one, auto);
  addFailing();
  expect(statusOf(await pass(one, auto))).toMatchObject({ isHalted: false });
  now += 600_001;
  server.changes();
  expect(statusOf(await pass(one, auto))).toMatchObject({ isHalted: true, isRolledBack: false });
  expect(server.changes()).toEqual([]);
});

test('rolls back only to an image that is trusted still', async () => {
  const auto = { more: '    roll: { rollback: auto }\n' };
  await pass(one, auto);
  server.settle();
  await pass(two, auto);
  addFailing();
  now += 600_001;
  server.changes();
  const text = textOf(two, auto);
  const untrusted = new Error('not trusted');
  const reject = (digest: Digest): Error | undefined => (digest === one ? untrusted : undefined);
  const careful = engineController({ text, engine, events, now: () => now, reject });
  await expect(passOf(careful, {})).rejects.toBe(untrusted);
  expect(server.changes()).toEqual([]);
  await pass(two, auto);
  expect(server.changes()).toEqual(['instanceGroupManagers.patch']);
});

test('rolls the group when a node is too old, within windows', async () => {
  const old = { more: '    expire: { after: 30d }\n' };
  await pass(one, old);
  server.settle(new Date(now));
  server.changes();
  now += 30 * DAY_MS - 1000;
  expect(statusOf(await pass(one, old))).toMatchObject({ isConverged: true });
  now += 2000;
  await pass(one, { more: `${old.more}    roll: { paused: true }\n` });
  expect(server.changes()).toEqual([]);
  await pass(one, old);
  expect(server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(groupOf()).toMatchObject({ versions: [{ name: `lkt-${now}` }] });
  expect(statusOf(await pass(one, old))).toMatchObject({ isConverged: false, stale: 3 });
  server.settle(new Date(now));
  expect(statusOf(await pass(one, old))).toMatchObject({ isConverged: true, stale: 0 });
  expect(server.changes()).toEqual([]);
});

test('sets the size and the budget, also after a person changed them', async () => {
  await pass(one);
  server.settle();
  server.changes();
  const changed = {
    size: 4,
    settings: ', healthCheck: web',
    more: '    roll: { surge: 0, unavailable: 1, startupTimeout: 1h }\n',
  };
  await pass(one, changed);
  expect(server.changes()).toEqual(['instanceGroupManagers.resize', 'instanceGroupManagers.patch']);
  expect(groupOf()).toMatchObject({
    updatePolicy: { replacementMethod: 'RECREATE', maxSurge: { fixed: 0 } },
    autoHealingPolicies: [
      { healthCheck: 'projects/shop-1234/global/healthChecks/web', initialDelaySec: 3600 },
    ],
  });
  const group = server.groups.get(NAME);
  if (group === undefined) throw new Error('no group');
  group.size = 9;
  await pass(one, changed);
  expect(group.size).toBe(4);
});

test('rejects the late change of a controller that was replaced, also between its calls', async () => {
  await pass(one, { generation: 7 });
  server.settle();
  server.changes();
  await expect(pass(two, { generation: 6 })).rejects.toMatchObject({ failure: 'fenced' });
  const { signal } = new AbortController();
  const [current] = await engine.list('shop', { signal });
  if (current === undefined) throw new Error('no group');
  await pass(one, { generation: 8, size: 2 });
  // It has read the group before the newer controller wrote.
  await expect(engine.stop(current, { generation: 7, signal })).rejects.toMatchObject({
    failure: 'fenced',
  });
});

test('puts no secret of metadata anywhere but into metadata, nor what Google repeats of it', async () => {
  const secret = 'canary-of-metadata';
  const text = textOf(one).replace(
    '"${GROUP}" }',
    `"\${GROUP}" }, key: { content: "line one\\n${secret}" }`,
  );
  expect(text).toContain(secret);
  const fleet = { text, engine, events, disk: join(dir, 'disk'), now: () => now };
  server.isEchoing = true;
  const failed = await passOf(engineController(fleet), {});
  const message = /^gcp: instanceTemplates\.insert: status 400: invalid: Invalid value: .*…/;
  expect(failed.groups.get('web')?.error?.message).toMatch(message);
  expect(events.at(-1)).toMatchObject({ kind: 'error', message: expect.stringMatching(message) });
  server.isEchoing = false;
  await passOf(engineController(fleet), {});
  server.settle();
  const done = await passOf(engineController(fleet), {});
  expect(statusOf(done)).toMatchObject({ isConverged: true });
  expect(JSON.stringify([events, statusOf(done), done.groups.get('web')?.nodes])).not.toContain(
    secret,
  );
  const templates = [...server.templates.values()].map(({ properties, ...rest }) => {
    const { metadata, ...others } = properties as Readonly<Record<string, unknown>>;
    expect(JSON.stringify(metadata)).toContain(secret);
    return { ...rest, ...others };
  });
  expect(templates).toHaveLength(1);
  const groups = [...server.groups.values()].map(({ manager }) => manager);
  expect(JSON.stringify([templates, groups])).not.toContain(secret);
});

test('creates one group and one image from two controllers at once', async () => {
  await Promise.all([pass(one), pass(one)]);
  expect([server.groups.size, server.images.size, server.templates.size]).toEqual([1, 1, 1]);
});

test('gets another token when Google refuses one', async () => {
  await pass(one);
  server.expireTokens();
  await pass(one);
  expect(server.requests.filter(({ path }) => path === '/token')).toHaveLength(2);
});

test('replaces one node', async () => {
  await pass(one);
  server.settle();
  const { signal } = new AbortController();
  const [current] = await engine.list('shop', { signal });
  const [node] = current?.nodes ?? [];
  if (current === undefined || node === undefined) throw new Error('no node');
  expect(node.addresses).toEqual(['10.0.0.1']);
  await engine.replace(current, node.name, { generation: 1, signal });
  expect(server.changes()).toContain('instanceGroupManagers.recreateInstances');
  await expect(engine.replace(current, 'x', { generation: 1, signal })).rejects.toMatchObject({
    failure: 'missing',
  });
});

test('spreads a group over zones of a region', async () => {
  await engine[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await start('regions/europe-west3');
  const zones = ', zones: [europe-west3-a, europe-west3-b, europe-west3-c]';
  const settings = { settings: zones, more: '    roll: { surge: 3 }\n' };
  await pass(one, settings);
  server.settle();
  expect(statusOf(await pass(one, settings))).toMatchObject({ isConverged: true });
  expect(groupOf()).toMatchObject({
    distributionPolicy: { zones: [{ zone: 'zones/europe-west3-a' }, {}, {}] },
    updatePolicy: { instanceRedistributionType: 'NONE' },
  });
  expect(() => controllerOf(one, { settings: zones })).toThrow(
    /a group in 3 zones has a surge and unavailable nodes of 0, or 3 at least/,
  );
});

test('touches nothing when the description of a group is damaged', async () => {
  await pass(one);
  const group = server.groups.get(NAME);
  if (group === undefined) throw new Error('no group');
  group.manager['description'] = '{"lkt":1,"fleet":"shop","group":"other"}';
  server.changes();
  await expect(pass(two)).rejects.toMatchObject({
    failure: 'nonsense',
    message: `fleet.yml:4:14: providers.frankfurt: gcp: the description of ${NAME} is damaged`,
    fix: expect.stringMatching(/^delete the /),
  });
  expect(server.changes()).toEqual([]);
});

test('says where credentials come from when they are missing, or in a wrong file', async () => {
  const settings = { project: 'shop-1234', location: { zone: 'z' }, bucket: 'images' } as const;
  const { signal } = new AbortController();
  const host = server.endpoint.replace('http://', '');
  await using none = new GcpEngine(settings, {
    credentialsFile: undefined,
    variables: { GCE_METADATA_HOST: host },
  });
  await expect(none.list('shop', { signal })).rejects.toMatchObject({
    failure: 'denied',
    fix: 'set credentialsFile of the provider, or GOOGLE_APPLICATION_CREDENTIALS',
  });
  await writeFile(join(dir, 'key.json'), '{"private_key": "secret');
  await using wrong = new GcpEngine(settings, {
    credentialsFile: undefined,
    variables: { GOOGLE_APPLICATION_CREDENTIALS: join(dir, 'key.json') },
  });
  const error: unknown = await wrong.list('shop', { signal }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  expect(String(error)).not.toContain('secret');
});

test.for<[Options, string, string]>([
  [{ more: '    roll: { minReady: 10s }\n' }, '12:23: groups.web.roll.minReady: ', 'health check'],
  [{ settings: ', zones: [europe-west3-a]' }, '11:62: groups.web.gcp.zones: ', 'remove'],
  [
    { settings: ', healthCheck: web', more: '    roll: { startupTimeout: 2h }\n' },
    '12:29: groups.web.roll.startupTimeout: ',
    '1h at most',
  ],
])('rejects what Google cannot keep: %j', ([options, place, fix]) => {
  expect(() => controllerOf(one, options)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(place),
      fix: expect.stringContaining(fix),
    }),
  );
});
