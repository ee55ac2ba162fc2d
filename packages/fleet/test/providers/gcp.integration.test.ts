import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Digest, digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { expectRemoval } from './engine-cloud.ts';
import { nameOf } from '../../src/engine/group-name.ts';
import { GcpEngine } from '../../src/providers/gcp/engine.ts';
import type { KeptImage } from '../../src/image/kept-images.ts';
import { gcpRights } from './documented-rights.ts';
import { engineController, passOf, statusOf } from './engine-passes.ts';
import { GcpCloud, type GcpOptions } from './gcp-cloud.ts';

const [one, two, three] = ['one', 'two', 'three'].map((text) => digestOf(text)) as [
  Digest,
  Digest,
  Digest,
];
const NAME = nameOf('shop', 'web');
const DAY_MS = 86_400_000;
const cloud = new GcpCloud();

const read = (name: string): string =>
  readFileSync(join(import.meta.dirname, `../../src/providers/gcp/${name}.ts`), 'utf8');

test('documents the rights of every call, and no others', () => {
  const source = ['engine', 'images', 'machine-image'].map(read).join('');
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
  expect(gcpRights()).toEqual(new Set([...calls, ...implied]));
});

test('uploads a disk once, and creates a group with a template', async () => {
  await cloud.pass(one);
  expect(cloud.server.changes()).toEqual([
    'objects.insert',
    'images.insert',
    'instanceTemplates.insert',
    'instanceGroupManagers.insert',
  ]);
  const [archive = Buffer.alloc(0)] = cloud.server.objects.values();
  const tar = gunzipSync(archive);
  expect(tar.toString('latin1', 0, 8)).toBe('disk.raw');
  // The size of the sparse file is a whole GiB, and only the block with data is in the archive.
  expect(Number.parseInt(tar.toString('latin1', 483, 494), 8)).toBe(2 ** 30);
  expect(tar.length).toBeLessThan(2 ** 20);
  expect(tar.includes('end')).toBe(true);
  const [image] = cloud.server.images.values();
  expect(image).toMatchObject({
    description: one,
    guestOsFeatures: [{ type: 'VIRTIO_SCSI_MULTIQUEUE' }, { type: 'UEFI_COMPATIBLE' }],
  });
  const [template] = cloud.server.templates.values();
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
  expect(cloud.group()).toMatchObject({
    baseInstanceName: NAME,
    targetSize: 3,
    updatePolicy: {
      type: 'OPPORTUNISTIC',
      replacementMethod: 'SUBSTITUTE',
      maxSurge: { fixed: 1 },
      maxUnavailable: { fixed: 0 },
    },
  });
  expect(statusOf(await cloud.pass(one))).toMatchObject({ isConverged: false, listed: 0 });
  cloud.server.settle();
  expect(statusOf(await cloud.pass(one))).toMatchObject({
    isConverged: true,
    available: 3,
    stale: 0,
  });
  expect(cloud.server.changes()).toEqual([]);
  expect(cloud.events.map(({ kind }) => kind)).toEqual(['stated', 'converged']);
});

test('starts a proactive roll to another image, waits for its end, and stops it for a third image', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  cloud.server.changes();
  await cloud.pass(two);
  expect(cloud.server.changes()).toEqual([
    'objects.insert',
    'images.insert',
    'instanceTemplates.insert',
    'instanceGroupManagers.patch',
  ]);
  expect(cloud.group()).toMatchObject({
    versions: [{ instanceTemplate: expect.stringContaining(NAME) }],
    updatePolicy: { type: 'PROACTIVE', minimalAction: 'REPLACE', maxSurge: { fixed: 1 } },
  });
  const rolling = await cloud.pass(two);
  expect(statusOf(rolling)).toMatchObject({ isConverged: false, stale: 3, holds: [] });
  expect(rolling.groups.get('web')?.decision.live[0]?.staleFor).toBe('image');
  await cloud.pass(one);
  expect(cloud.server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(cloud.group()).toMatchObject({ updatePolicy: { type: 'OPPORTUNISTIC' } });
  await cloud.pass(one);
  cloud.server.settle();
  expect(statusOf(await cloud.pass(one))).toMatchObject({ isConverged: true });
});

test('halts when no node of an image is healthy in time', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  await cloud.pass(two);
  const [group] = cloud.server.groups.values();
  const [template = ''] = [...cloud.server.templates.keys()].slice(-1);
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
  cloud.server.changes();
  expect(statusOf(await cloud.pass(two))).toMatchObject({ isHalted: false });
  cloud.now += 600_001;
  expect(statusOf(await cloud.pass(two))).toMatchObject({
    isHalted: true,
    holds: ["the engine's roll failed: ZONE_RESOURCE_POOL_EXHAUSTED: words of Google"],
  });
  expect(cloud.server.changes()).toEqual([]);
  await cloud.pass(two, { retry: true });
  expect(cloud.server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(statusOf(await cloud.pass(two))).toMatchObject({ isHalted: false });
});

test('rolls the group when a node is too old, within windows', async () => {
  const old = { more: '    expire: { after: 30d }\n' };
  await cloud.pass(one, old);
  cloud.server.settle(new Date(cloud.now));
  cloud.server.changes();
  cloud.now += 30 * DAY_MS - 1000;
  expect(statusOf(await cloud.pass(one, old))).toMatchObject({ isConverged: true });
  cloud.now += 2000;
  const paused = { more: `${old.more}    roll: { paused: true }\n` };
  expect(statusOf(await cloud.pass(one, paused))).toMatchObject({ isPaused: true });
  expect(cloud.server.changes()).toEqual([]);
  await cloud.pass(one, old);
  expect(cloud.server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(cloud.group()).toMatchObject({ versions: [{ name: `lkt-${cloud.now}` }] });
  expect(statusOf(await cloud.pass(one, old))).toMatchObject({ isConverged: false, stale: 3 });
  cloud.server.settle(new Date(cloud.now));
  expect(statusOf(await cloud.pass(one, old))).toMatchObject({ isConverged: true, stale: 0 });
  expect(cloud.server.changes()).toEqual([]);
});

test('sets the size and the budget, also after a person changed them', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  cloud.server.changes();
  const changed = {
    size: 4,
    settings: ', healthCheck: web',
    more: '    roll: { surge: 0, unavailable: 1, startupTimeout: 1h }\n',
  };
  await cloud.pass(one, changed);
  expect(cloud.server.changes()).toEqual([
    'instanceGroupManagers.resize',
    'instanceGroupManagers.patch',
  ]);
  expect(cloud.group()).toMatchObject({
    updatePolicy: { replacementMethod: 'RECREATE', maxSurge: { fixed: 0 } },
    autoHealingPolicies: [
      { healthCheck: 'projects/shop-1234/global/healthChecks/web', initialDelaySec: 3600 },
    ],
  });
  const group = cloud.server.groups.get(NAME);
  if (group === undefined) throw new Error('no group');
  group.size = 9;
  await cloud.pass(one, changed);
  expect(group.size).toBe(4);
});

test('sets minReady by the beta API, and uses the beta no more once fleet.yml lacks it', async () => {
  const slow = { more: '    roll: { minReady: 90s }\n' };
  await cloud.pass(one, slow);
  cloud.server.settle();
  const timed = { minReadySec: 90, maxSurge: { fixed: 1 } };
  expect(cloud.group()).toMatchObject({ updatePolicy: { ...timed, type: 'OPPORTUNISTIC' } });
  await cloud.pass(two, slow);
  expect(cloud.group()).toMatchObject({ updatePolicy: { ...timed, type: 'PROACTIVE' } });
  cloud.server.settle();
  expect(statusOf(await cloud.pass(two, slow))).toMatchObject({ isConverged: true });
  await cloud.pass(two);
  expect(cloud.group()).toMatchObject({ updatePolicy: { minReadySec: 0 } });
  // Nothing more is asked of the beta.
  const before = cloud.server.requests.length;
  await cloud.pass(one);
  const later = cloud.server.requests.slice(before).map(({ path }) => path);
  expect(later.filter((path) => path.startsWith('/compute/beta/'))).toEqual([]);
});

test('rejects the late change of a controller that was replaced, also between its calls', async () => {
  await cloud.pass(one, { generation: 7 });
  cloud.server.settle();
  cloud.server.changes();
  await expect(cloud.pass(two, { generation: 6 })).rejects.toMatchObject({ failure: 'fenced' });
  const { signal } = new AbortController();
  const [current] = await cloud.engine.list('shop', { signal });
  if (current === undefined) throw new Error('no group');
  await cloud.pass(one, { generation: 8, size: 2 });
  // It has read the group before the newer controller wrote.
  await expect(cloud.engine.stop(current, { generation: 7, signal })).rejects.toMatchObject({
    failure: 'fenced',
  });
});

test('stores secrets of metadata as metadata only, and hides them in errors of Google', async () => {
  const secret = 'canary-of-metadata';
  const text = cloud
    .text(one)
    .replace('"${GROUP}" }', `"\${GROUP}" }, key: { content: "line one\\n${secret}" }`);
  expect(text).toContain(secret);
  const { engine, events, disk } = cloud;
  const fleet = { text, engine, events, disk, now: () => cloud.now };
  cloud.server.isEchoing = true;
  const failed = await passOf(engineController(fleet), {});
  const message = /^gcp: instanceTemplates\.insert: status 400: invalid: Invalid value: .*…/;
  expect(failed.groups.get('web')?.error?.message).toMatch(message);
  expect(cloud.events.at(-1)).toMatchObject({
    kind: 'error',
    message: expect.stringMatching(message),
  });
  cloud.server.isEchoing = false;
  await passOf(engineController(fleet), {});
  cloud.server.settle();
  const done = await passOf(engineController(fleet), {});
  expect(statusOf(done)).toMatchObject({ isConverged: true });
  expect(
    JSON.stringify([cloud.events, statusOf(done), done.groups.get('web')?.nodes]),
  ).not.toContain(secret);
  const templates = [...cloud.server.templates.values()].map(({ properties, ...rest }) => {
    const { metadata, ...others } = properties as Readonly<Record<string, unknown>>;
    expect(JSON.stringify(metadata)).toContain(secret);
    return { ...rest, ...others };
  });
  expect(templates).toHaveLength(1);
  const groups = [...cloud.server.groups.values()].map(({ manager }) => manager);
  expect(JSON.stringify([templates, groups])).not.toContain(secret);
});

test('creates one group and one image from two controllers at once', async () => {
  await Promise.all([cloud.pass(one), cloud.pass(one)]);
  expect([cloud.server.groups.size, cloud.server.images.size, cloud.server.templates.size]).toEqual(
    [1, 1, 1],
  );
});

test('gets another token when Google refuses one', async () => {
  await cloud.pass(one);
  cloud.server.expireTokens();
  await cloud.pass(one);
  expect(cloud.server.requests.filter(({ path }) => path === '/token')).toHaveLength(2);
});

test('replaces one node', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  const { signal } = new AbortController();
  const [current] = await cloud.engine.list('shop', { signal });
  const [node] = current?.nodes ?? [];
  if (current === undefined || node === undefined) throw new Error('no node');
  expect(node.addresses).toEqual(['10.0.0.1']);
  await cloud.engine.replace(current, node.name, { generation: 1, signal });
  expect(cloud.server.changes()).toContain('instanceGroupManagers.recreateInstances');
  await expect(cloud.engine.replace(current, 'x', { generation: 1, signal })).rejects.toMatchObject(
    {
      failure: 'missing',
    },
  );
});

test('spreads a group over zones of a region', async () => {
  await cloud.engine[Symbol.asyncDispose]();
  await cloud.server[Symbol.asyncDispose]();
  await cloud.start('regions/europe-west3');
  const zones = ', zones: [europe-west3-a, europe-west3-b, europe-west3-c]';
  const settings = { settings: zones, more: '    roll: { surge: 3 }\n' };
  await cloud.pass(one, settings);
  cloud.server.settle();
  expect(statusOf(await cloud.pass(one, settings))).toMatchObject({ isConverged: true });
  expect(cloud.group()).toMatchObject({
    distributionPolicy: { zones: [{ zone: 'zones/europe-west3-a' }, {}, {}] },
    updatePolicy: { instanceRedistributionType: 'NONE' },
  });
  expect(() => cloud.controller(one, { settings: zones })).toThrow(
    /a group in 3 zones has a surge and unavailable nodes of 0, or 3 at least/,
  );
});

test('touches nothing when the description of a group is damaged', async () => {
  await cloud.pass(one);
  const group = cloud.server.groups.get(NAME);
  if (group === undefined) throw new Error('no group');
  group.manager['description'] = '{"lkt":1,"fleet":"shop","group":"other"}';
  cloud.server.changes();
  await expect(cloud.pass(two)).rejects.toMatchObject({
    failure: 'malformed',
    message: `fleet.yml:4:14: providers.frankfurt: gcp: the description of ${NAME} is damaged`,
    fix: expect.stringMatching(/^delete the /),
  });
  expect(cloud.server.changes()).toEqual([]);
});

test('names the sources of credentials when they are missing, or in a wrong file', async () => {
  const settings = { project: 'shop-1234', location: { zone: 'z' }, bucket: 'images' } as const;
  const { signal } = new AbortController();
  const host = cloud.server.endpoint.replace('http://', '');
  await using none = new GcpEngine(settings, {
    credentialsFile: undefined,
    variables: { GCE_METADATA_HOST: host },
  });
  await expect(none.list('shop', { signal })).rejects.toMatchObject({
    failure: 'denied',
    fix: 'set credentialsFile of the provider, or GOOGLE_APPLICATION_CREDENTIALS',
  });
  await writeFile(cloud.key, '{"private_key": "secret');
  await using wrong = new GcpEngine(settings, {
    credentialsFile: undefined,
    variables: { GOOGLE_APPLICATION_CREDENTIALS: cloud.key },
  });
  const error: unknown = await wrong.list('shop', { signal }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  expect(String(error)).not.toContain('secret');
});

test.for<[GcpOptions, string, string]>([
  [{ more: '    roll: { minReady: 2h }\n' }, '12:23: groups.web.roll.minReady: ', '1h at most'],
  [{ settings: ', zones: [europe-west3-a]' }, '11:62: groups.web.gcp.zones: ', 'remove'],
  [
    { settings: ', healthCheck: web', more: '    roll: { startupTimeout: 2h }\n' },
    '12:29: groups.web.roll.startupTimeout: ',
    '1h at most',
  ],
])('rejects a setting that Google does not support: %j', ([options, place, fix]) => {
  expect(() => cloud.controller(one, options)).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(place),
      fix: expect.stringContaining(fix),
    }),
  );
});

test('removes an image that no group uses, with its object', async () => {
  await expectRemoval(cloud, [one, two], '2026-01-01T07:00:00.000Z', [
    'images.delete',
    'objects.delete',
  ]);
});

test('removes a template to which no group may return', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  await cloud.pass(two);
  cloud.server.settle();
  const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
  const { images } = cloud.engine;
  const templates = async (): Promise<readonly KeptImage[]> =>
    (await images.list(options)).filter(({ id }) => id.startsWith('instanceTemplates/'));
  const [first, second] = await templates();
  if (first === undefined || second === undefined) throw new Error('a template is not listed');
  expect([first.digest, second.digest]).toEqual([one, two]);
  expect(new Date(first.created).toISOString()).toBe('2026-01-01T07:00:00.000Z');
  for (const image of [first, second]) expect(await images.isUsed(image, options)).toBe(true);
  await cloud.pass(three);
  cloud.server.settle();
  expect(await images.isUsed(first, options)).toBe(false);
  expect(await images.isUsed(second, options)).toBe(true);
  cloud.server.changes();
  for (let times = 0; times < 2; times += 1) await images.remove(first, options);
  expect(cloud.server.changes()).toEqual(['instanceTemplates.delete']);
  expect((await templates()).map(({ digest }) => digest)).toEqual([two, three]);
});
