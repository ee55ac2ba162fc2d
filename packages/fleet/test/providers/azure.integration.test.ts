import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { expectRemoval } from './engine-cloud.ts';
import { AzureEngine } from '../../src/providers/azure/engine.ts';
import { versionOf } from '../../src/providers/azure/machine-image.ts';
import { AZURE_NAME as NAME, AZURE_VARIABLES as VARIABLES, AzureCloud } from './azure-cloud.ts';
import { AZURE_SETTINGS } from './azure-server.ts';
import { azureRights } from './documented-rights.ts';
import { statusOf } from './engine-passes.ts';

const [one, two] = [digestOf('one'), digestOf('two')];
const DAY_MS = 86_400_000;
const cloud = new AzureCloud();

const read = (name: string): string =>
  readFileSync(join(import.meta.dirname, `../../src/providers/azure/${name}.ts`), 'utf8');

test('documents the rights of every call, and no others', () => {
  const source = ['engine', 'images', 'machine-image'].map(read).join('');
  const calls = [
    ...source.matchAll(/'((?:virtualMachineScaleSets|disks|galleries)\.[\w.]+)'/g),
  ].map(([, call = '']) => `Microsoft.Compute/${call.replaceAll('.', '/')}`);
  const implied = [
    'Microsoft.Network/loadBalancers/backendAddressPools/join/action',
    'Microsoft.Network/loadBalancers/probes/join/action',
    'Microsoft.Network/networkSecurityGroups/join/action',
    'Microsoft.Network/virtualNetworks/subnets/join/action',
  ];
  expect(azureRights()).toEqual(new Set([...calls, ...implied]));
});

test('sends secrets of metadata as user data only, and shows them nowhere', async () => {
  const secret = 'canary-of-metadata';
  const more = `    template: { metadata: { key: { content: ${secret} } } }\n`;
  await cloud.pass(one, { more });
  cloud.server.settle();
  const { groups } = await cloud.pass(one, { more });
  const found: string[] = [];
  const others = JSON.stringify(
    cloud.server.requests.map(({ path, headers, json }) => [path, headers, json]),
    (key, value: unknown) => {
      if (key !== 'userData') return value;
      found.push(Buffer.from(String(value), 'base64').toString());
      return undefined;
    },
  );
  expect(found).toEqual([expect.stringContaining(`{"key":{"content":"${secret}"}`)]);
  expect(others).not.toContain(secret);
  expect(others).not.toContain(Buffer.from(found[0] ?? '').toString('base64'));
  expect(JSON.stringify([cloud.events, groups.get('web')?.nodes])).not.toContain(secret);
});

test('uploads a disk as fixed VHD, and creates a scale set', async () => {
  await cloud.pass(one);
  expect(cloud.server.changes()).toEqual([
    'disks.write',
    'disks.beginGetAccess',
    'disks.endGetAccess',
    'galleries.images.versions.write',
    'disks.delete',
    'virtualMachineScaleSets.create',
  ]);
  const vhd = cloud.server.written();
  expect(vhd).toHaveLength(10 * 2 ** 20 + 512);
  expect(vhd.toString('latin1', 0, 5)).toBe('start');
  expect(vhd.toString('latin1', 5 + 9 * 2 ** 20, 8 + 9 * 2 ** 20)).toBe('end');
  expect(vhd.toString('latin1', vhd.length - 512, vhd.length - 504)).toBe('conectix');
  // The pieces without data were not sent.
  expect(cloud.server.requests.filter(({ path }) => path.startsWith('/storage/'))).toHaveLength(2);
  expect([...cloud.server.versions.keys()]).toEqual([versionOf(one)]);
  expect(cloud.server.disks.size).toBe(0);
  expect(cloud.body()).toMatchObject({
    tags: { 'lkt.fleet': 'shop', 'lkt.group': 'web', 'lkt.generation': '1' },
    sku: { name: 'Standard_B1s', capacity: 3 },
    properties: {
      overprovision: false,
      upgradePolicy: {
        mode: 'Manual',
        rollingUpgradePolicy: {
          maxBatchInstancePercent: 33,
          maxUnhealthyUpgradedInstancePercent: 0,
          maxSurge: true,
          rollbackFailedInstancesOnPolicyBreach: false,
        },
      },
      automaticRepairsPolicy: { enabled: true, gracePeriod: 'PT10M', repairAction: 'Replace' },
    },
  });
  expect(cloud.body()).not.toHaveProperty('identity');
  expect(statusOf(await cloud.pass(one))).toMatchObject({ isConverged: false, listed: 0 });
  cloud.server.settle();
  const settled = await cloud.pass(one);
  expect(statusOf(settled)).toMatchObject({ isConverged: true, available: 3, stale: 0 });
  expect(settled.groups.get('web')?.nodes[0]?.addresses).toHaveLength(1);
  expect(cloud.server.changes()).toEqual([]);
  expect(cloud.events.map(({ kind }) => kind)).toEqual(['stated', 'converged']);
});

test('starts a roll to another image, waits until it begins and ends, and stops it for a third image', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  cloud.server.changes();
  await cloud.pass(two);
  expect(cloud.server.changes().slice(-1)).toEqual(['virtualMachineScaleSets.update']);
  expect(cloud.body()).toMatchObject({ properties: { upgradePolicy: { mode: 'Rolling' } } });
  // Azure begins a while later.
  const before = await cloud.pass(two);
  expect(statusOf(before)).toMatchObject({ isConverged: false, isHalted: false, stale: 3 });
  expect(before.groups.get('web')?.decision.live[0]?.staleFor).toBe('image');
  cloud.server.begin();
  expect(statusOf(await cloud.pass(two))).toMatchObject({ isConverged: false, holds: [] });
  expect(cloud.server.changes()).toEqual([]);
  cloud.server.finish('Completed');
  cloud.server.settle();
  expect(statusOf(await cloud.pass(two))).toMatchObject({ isConverged: true });
  await cloud.pass(one);
  cloud.server.begin();
  cloud.server.changes();
  await cloud.pass(two);
  expect(cloud.server.changes()).toEqual([
    'virtualMachineScaleSets.update',
    'virtualMachineScaleSets.cancel',
  ]);
  expect(cloud.body()).toMatchObject({ properties: { upgradePolicy: { mode: 'Manual' } } });
});

test('halts when Azure says that an upgrade failed, and begins another on request', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  await cloud.pass(two);
  cloud.server.begin();
  cloud.server.finish('Faulted', 'MaxUnhealthyUpgradedInstancePercentExceeded');
  cloud.server.changes();
  expect(statusOf(await cloud.pass(two))).toMatchObject({
    isHalted: true,
    holds: ["the engine's roll failed: MaxUnhealthyUpgradedInstancePercentExceeded"],
  });
  expect(cloud.server.changes()).toEqual([]);
  await cloud.pass(two, { retry: true });
  expect(cloud.server.changes()).toEqual(['virtualMachineScaleSets.update']);
  expect(statusOf(await cloud.pass(two))).toMatchObject({ isHalted: false });
});

test('halts when Azure begins no upgrade in time', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  await cloud.pass(two);
  cloud.now += 600_001;
  expect(statusOf(await cloud.pass(two))).toMatchObject({
    isHalted: true,
    holds: ["the engine's roll failed: Azure has not begun it"],
  });
});

test('rolls the group when a node is too old', async () => {
  const old = { more: '    expire: { after: 30d }\n' };
  await cloud.pass(one, old);
  cloud.server.settle(new Date(cloud.now));
  cloud.server.changes();
  cloud.now += 30 * DAY_MS + 1000;
  await cloud.pass(one, old);
  expect(cloud.server.changes()).toEqual(['virtualMachineScaleSets.update']);
  cloud.server.begin();
  expect(statusOf(await cloud.pass(one, old))).toMatchObject({ isConverged: false });
  cloud.server.finish('Completed');
  cloud.server.settle(new Date(cloud.now));
  expect(statusOf(await cloud.pass(one, old))).toMatchObject({ isConverged: true, stale: 0 });
  expect(cloud.server.changes()).toEqual([]);
});

test('sets the size, and keeps tags of people', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  cloud.server.changes();
  const set = cloud.server.sets.get(NAME);
  if (set === undefined) throw new Error('no scale set');
  set.body['tags'] = { ...(set.body['tags'] as object), cost: 'shop' };
  await cloud.pass(one, { size: 4, more: '    roll: { surge: 0, unavailable: 2 }\n' });
  expect(cloud.body()).toMatchObject({
    tags: { cost: 'shop' },
    sku: { capacity: 4, name: 'Standard_B1s' },
    properties: {
      upgradePolicy: {
        mode: 'Manual',
        rollingUpgradePolicy: { maxBatchInstancePercent: 50, maxSurge: false },
      },
    },
  });
});

test('rejects the late change of a controller that was replaced, also between its calls', async () => {
  await cloud.pass(one, { generation: 7 });
  cloud.server.settle();
  cloud.server.changes();
  await expect(cloud.pass(two, { generation: 6 })).rejects.toMatchObject({ failure: 'fenced' });
  const { signal } = new AbortController();
  const [current] = await cloud.engine.list('shop', { signal });
  if (current === undefined) throw new Error('no group');
  await cloud.pass(one, { generation: 8, size: 4 });
  await expect(cloud.engine.stop(current, { generation: 7, signal })).rejects.toMatchObject({
    failure: 'fenced',
  });
});

test('creates one scale set from two controllers at once, and continues an upload', async () => {
  await Promise.all([cloud.pass(one), cloud.pass(one)]);
  expect([cloud.server.sets.size, cloud.server.versions.size]).toEqual([1, 1]);
  expect(cloud.server.changes().filter((name) => name.endsWith('.create'))).toHaveLength(1);
});

test('replaces one node', async () => {
  await cloud.pass(one);
  cloud.server.settle();
  const { signal } = new AbortController();
  const [current] = await cloud.engine.list('shop', { signal });
  const [node] = current?.nodes ?? [];
  if (current === undefined || node === undefined) throw new Error('no node');
  cloud.server.changes();
  await cloud.engine.replace(current, node.name, { generation: 1, signal });
  expect(cloud.server.changes()).toEqual(['virtualMachineScaleSets.reimage']);
});

test('reports which credentials are missing or wrong, and keeps secrets out of messages', async () => {
  const { signal } = new AbortController();
  const settings = { ...AZURE_SETTINGS, endpoint: cloud.server.endpoint };
  await using wrong = new AzureEngine(settings, { ...VARIABLES, AZURE_CLIENT_SECRET: 'hidden' });
  const error: unknown = await wrong.list('shop', { signal }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    failure: 'denied',
    message: 'azure: token: status 401: invalid_client: Invalid client secret.',
    fix: 'set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET',
  });
  await using half = new AzureEngine(settings, { AZURE_CLIENT_SECRET: 'hidden' });
  await expect(half.list('shop', { signal })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('touches nothing when the tags of a scale set are damaged', async () => {
  await cloud.pass(one);
  const set = cloud.server.sets.get(NAME);
  if (set === undefined) throw new Error('no scale set');
  set.body['tags'] = { 'lkt.fleet': 'shop', 'lkt.group': 'other' };
  cloud.server.changes();
  await expect(cloud.pass(two)).rejects.toMatchObject({
    failure: 'malformed',
    message: `fleet.yml:5:5: providers.frankfurt: azure: the tags of ${NAME} are damaged`,
    fix: expect.stringMatching(/^delete the /),
  });
  expect(cloud.server.changes()).toEqual([]);
});

/** Returns the files of the user data. */
function filesOf(): Readonly<Record<string, unknown>> {
  const { virtualMachineProfile } = cloud.body()['properties'] as Record<
    string,
    { userData: string }
  >;
  const text = Buffer.from(virtualMachineProfile?.userData ?? '', 'base64').toString();
  return JSON.parse(text) as Record<string, unknown>;
}

test('gives nodes their metadata, with another text for each roll', async () => {
  const more = '    template: { metadata: { hostname: { content: "${GROUP}" } } }\n';
  await cloud.pass(one, { more });
  const before = filesOf();
  const spec = '[0-9a-f]{16}';
  expect(before).toEqual({
    hostname: { content: 'web' },
    'lkt-roll': { content: expect.stringMatching(new RegExp(`^${spec} ${cloud.now}$`)) },
  });
  cloud.server.settle();
  cloud.now += 1000;
  await cloud.pass(two, { more });
  expect(filesOf()).toEqual({ ...before, 'lkt-roll': expect.anything() });
  expect(filesOf()['lkt-roll']).not.toEqual(before['lkt-roll']);
});

test.for<[string, number, string, string]>([
  ['    roll: { surge: 1, unavailable: 1 }\n', 3, '22:11: groups.web.roll: ', 'one of both'],
  ['', 100, '13:5: groups.web: Azure replaces 5%', 'raise surge or unavailable to 5'],
  [
    '    expire: { after: 30d }\n    roll: { surge: 0 }\n',
    3,
    '22:13: groups.web.expire: ',
    'surge: 1',
  ],
  ['    roll: { startupTimeout: 91m }\n', 3, '22:29: groups.web.roll.startupTimeout: ', '90m'],
  [
    `    template: { metadata: { a: { content: ${'x'.repeat(49_152)} } } }\n`,
    3,
    '22:27: groups.web.template.metadata: ',
    'large files',
  ],
])('rejects a setting that a scale set does not support: %#', ([more, size, place, fix]) => {
  expect(() => cloud.controller(one, { more, size })).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(place),
      fix: expect.stringContaining(fix),
    }),
  );
});

test('removes a version of the definition that no scale set uses', async () => {
  await expectRemoval(cloud, [one, two], '2026-01-01T00:00:00.000Z', [
    'galleries.images.versions.delete',
  ]);
});

test('removes the disk of an upload that was interrupted, but none that a machine uses', async () => {
  await cloud.pass(one);
  const { server, engine } = cloud;
  server.settle();
  const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
  const files = { kind: 'disk', format: 'raw', firmware: 'efi', path: cloud.disk } as const;
  server.storage.isClosed = true;
  await expect(engine.prepare({ digest: two, files }, options)).rejects.toThrow();
  const left = (await engine.images.list(options)).find(({ digest }) => digest === two);
  if (left === undefined) throw new Error('the disk is not listed');
  expect(new Date(left.created).toISOString()).toBe('2026-01-02T03:04:05.000Z');
  expect(server.disks.get(left.id)).toMatchObject({ properties: { diskState: 'ActiveUpload' } });
  expect(await engine.images.isUsed(left, options)).toBe(false);
  const disk = server.disks.get(left.id) ?? {};
  Object.assign(disk, { managedBy: 'a machine' });
  expect(await engine.images.isUsed(left, options)).toBe(true);
  Object.assign(disk, { managedBy: undefined });
  server.changes();
  for (let times = 0; times < 2; times += 1) await engine.images.remove(left, options);
  expect(server.changes()).toEqual(['disks.endGetAccess', 'disks.delete']);
  expect((await engine.images.list(options)).map(({ digest }) => digest)).toEqual([one]);
});
