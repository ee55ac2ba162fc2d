import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, digestOf } from '@lkt/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FleetController, FleetPass } from '../../src/controller/controller.ts';
import { nameOf } from '../../src/engine/group-name.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import { AzureEngine } from '../../src/providers/azure/engine.ts';
import { versionOf } from '../../src/providers/azure/machine-image.ts';
import { AZURE_SETTINGS, type AzureServer, startAzureServer } from './azure-server.ts';
import { engineController, passOf, type PassOptions, statusOf } from './engine-passes.ts';

// Azure itself has not been met: the server rejects what Azure documents as invalid.
const [one, two] = [digestOf('one'), digestOf('two')];
const NAME = nameOf('shop', 'web');
const DAY_MS = 86_400_000;
const VARIABLES = {
  AZURE_TENANT_ID: 'tenant-1',
  AZURE_CLIENT_ID: 'client-1',
  AZURE_CLIENT_SECRET: 'secret-1',
};
let dir: string;
let server: AzureServer;
let engine: AzureEngine;
let events: FleetEvent[];
let now: number;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lkt-azure-'));
  const data = Buffer.concat([Buffer.from('start'), Buffer.alloc(9 * 2 ** 20), Buffer.from('end')]);
  await writeFile(join(dir, 'disk'), data);
  events = [];
  now = Date.now();
  server = await startAzureServer();
  engine = new AzureEngine({ ...AZURE_SETTINGS, endpoint: server.endpoint }, VARIABLES, () => now);
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
}

function controllerOf(image: Digest, { size = 3, more = '' }: Options = {}): FleetController {
  const text = `version: "1"
name: shop
providers:
  frankfurt:
    azure:
      subscription: ${AZURE_SETTINGS.subscription}
      resourceGroup: shop
      region: germanywestcentral
      gallery: images
      imageDefinition: web
groups:
  web:
    provider: frankfurt
    image: web@${image}
    size: ${size}
    azure:
      vmSize: Standard_B1s
      subnet: shop/nodes
      loadBalancer: web
      backendPool: nodes
      healthProbe: http
${more}`;
  return engineController({ text, engine, events, disk: join(dir, 'disk'), now: () => now });
}

async function pass(image: Digest, options: Options & PassOptions = {}): Promise<FleetPass> {
  // A new controller each time: it has no state of its own.
  return passOf(controllerOf(image, options), options);
}

function bodyOf(): Readonly<Record<string, unknown>> {
  return server.sets.get(NAME)?.body ?? {};
}

const read = (name: string): string =>
  readFileSync(join(import.meta.dirname, `../../src/providers/azure/${name}.ts`), 'utf8');

test('documents the rights of every call, and no others', () => {
  const source = read('engine') + read('machine-image');
  const calls = [
    ...source.matchAll(/'((?:virtualMachineScaleSets|disks|galleries)\.[\w.]+)'/g),
  ].map(([, call = '']) => `Microsoft.Compute/${call.replaceAll('.', '/')}`);
  const docs = readFileSync(join(import.meta.dirname, '../../../../docs/fleet/azure.md'), 'utf8');
  const role = /```json\n([\s\S]*?)```/.exec(docs)?.[1] ?? '';
  const { Actions: allowed } = JSON.parse(role) as { Actions: string[] };
  const implied = [
    'Microsoft.Network/loadBalancers/backendAddressPools/join/action',
    'Microsoft.Network/loadBalancers/probes/join/action',
    'Microsoft.Network/networkSecurityGroups/join/action',
    'Microsoft.Network/virtualNetworks/subnets/join/action',
  ];
  expect(new Set(allowed)).toEqual(new Set([...calls, ...implied]));
});

test('puts no secret of metadata anywhere but into user data', async () => {
  const secret = 'canary-of-metadata';
  const more = `    template: { metadata: { key: { content: ${secret} } } }\n`;
  await pass(one, { more });
  server.settle();
  const { groups } = await pass(one, { more });
  const found: string[] = [];
  const others = JSON.stringify(
    server.requests.map(({ path, headers, json }) => [path, headers, json]),
    (key, value: unknown) => {
      if (key !== 'userData') return value;
      found.push(Buffer.from(String(value), 'base64').toString());
      return undefined;
    },
  );
  expect(found).toEqual([expect.stringContaining(`{"key":{"content":"${secret}"}`)]);
  expect(others).not.toContain(secret);
  expect(others).not.toContain(Buffer.from(found[0] ?? '').toString('base64'));
  expect(JSON.stringify([events, groups.get('web')?.nodes])).not.toContain(secret);
});

test('uploads a disk as fixed VHD, and creates a scale set', async () => {
  await pass(one);
  expect(server.changes()).toEqual([
    'disks.write',
    'disks.beginGetAccess',
    'disks.endGetAccess',
    'galleries.images.versions.write',
    'disks.delete',
    'virtualMachineScaleSets.create',
  ]);
  const vhd = server.written();
  expect(vhd).toHaveLength(10 * 2 ** 20 + 512);
  expect(vhd.toString('latin1', 0, 5)).toBe('start');
  expect(vhd.toString('latin1', 5 + 9 * 2 ** 20, 8 + 9 * 2 ** 20)).toBe('end');
  expect(vhd.toString('latin1', vhd.length - 512, vhd.length - 504)).toBe('conectix');
  // The pieces without data were not sent.
  expect(server.requests.filter(({ path }) => path.startsWith('/storage/'))).toHaveLength(2);
  expect([...server.versions.keys()]).toEqual([versionOf(one)]);
  expect(server.disks.size).toBe(0);
  expect(bodyOf()).toMatchObject({
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
  expect(bodyOf()).not.toHaveProperty('identity');
  expect(statusOf(await pass(one))).toMatchObject({ isConverged: false, listed: 0 });
  server.settle();
  const settled = await pass(one);
  expect(statusOf(settled)).toMatchObject({ isConverged: true, available: 3, stale: 0 });
  expect(settled.groups.get('web')?.nodes[0]?.addresses).toHaveLength(1);
  expect(server.changes()).toEqual([]);
  expect(events.map(({ kind }) => kind)).toEqual(['stated', 'converged']);
});

test('rolls to another image, awaits its begin and its end, and stops for a third', async () => {
  await pass(one);
  server.settle();
  server.changes();
  await pass(two);
  expect(server.changes().slice(-1)).toEqual(['virtualMachineScaleSets.update']);
  expect(bodyOf()).toMatchObject({ properties: { upgradePolicy: { mode: 'Rolling' } } });
  // Azure begins a while later.
  const before = await pass(two);
  expect(statusOf(before)).toMatchObject({ isConverged: false, isHalted: false, stale: 3 });
  expect(before.groups.get('web')?.decision.live[0]?.staleFor).toBe('image');
  server.begin();
  expect(statusOf(await pass(two))).toMatchObject({ isConverged: false, holds: [] });
  expect(server.changes()).toEqual([]);
  server.finish('Completed');
  server.settle();
  expect(statusOf(await pass(two))).toMatchObject({ isConverged: true });
  await pass(one);
  server.begin();
  server.changes();
  await pass(two);
  expect(server.changes()).toEqual([
    'virtualMachineScaleSets.update',
    'virtualMachineScaleSets.cancel',
  ]);
  expect(bodyOf()).toMatchObject({ properties: { upgradePolicy: { mode: 'Manual' } } });
});

test('halts when Azure says that an upgrade failed, and begins another on request', async () => {
  await pass(one, { more: '    roll: { rollback: auto }\n' });
  server.settle();
  await pass(two, { more: '    roll: { rollback: auto }\n' });
  expect(bodyOf()).toMatchObject({
    properties: {
      upgradePolicy: { rollingUpgradePolicy: { rollbackFailedInstancesOnPolicyBreach: true } },
    },
  });
  server.begin();
  server.finish('Faulted', 'MaxUnhealthyUpgradedInstancePercentExceeded');
  const options = { more: '    roll: { rollback: auto }\n' };
  server.changes();
  expect(statusOf(await pass(two, options))).toMatchObject({
    isHalted: true,
    holds: ["the engine's roll failed: MaxUnhealthyUpgradedInstancePercentExceeded"],
  });
  expect(server.changes()).toEqual([]);
  await pass(two, { ...options, retry: true });
  expect(server.changes()).toEqual(['virtualMachineScaleSets.update']);
  expect(statusOf(await pass(two, options))).toMatchObject({ isHalted: false });
});

test('halts when Azure begins no upgrade in time', async () => {
  await pass(one);
  server.settle();
  await pass(two);
  now += 600_001;
  expect(statusOf(await pass(two))).toMatchObject({
    isHalted: true,
    holds: ["the engine's roll failed: Azure has not begun it"],
  });
});

test('rolls the group when a node is too old', async () => {
  const old = { more: '    expire: { after: 30d }\n' };
  await pass(one, old);
  server.settle(new Date(now));
  server.changes();
  now += 30 * DAY_MS + 1000;
  await pass(one, old);
  expect(server.changes()).toEqual(['virtualMachineScaleSets.update']);
  server.begin();
  expect(statusOf(await pass(one, old))).toMatchObject({ isConverged: false });
  server.finish('Completed');
  server.settle(new Date(now));
  expect(statusOf(await pass(one, old))).toMatchObject({ isConverged: true, stale: 0 });
  expect(server.changes()).toEqual([]);
});

test('sets the size, and keeps tags of people', async () => {
  await pass(one);
  server.settle();
  server.changes();
  const set = server.sets.get(NAME);
  if (set === undefined) throw new Error('no scale set');
  set.body['tags'] = { ...(set.body['tags'] as object), cost: 'shop' };
  await pass(one, { size: 4, more: '    roll: { surge: 0, unavailable: 2 }\n' });
  expect(bodyOf()).toMatchObject({
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
  await pass(one, { generation: 7 });
  server.settle();
  server.changes();
  await expect(pass(two, { generation: 6 })).rejects.toMatchObject({ failure: 'fenced' });
  const { signal } = new AbortController();
  const [current] = await engine.list('shop', { signal });
  if (current === undefined) throw new Error('no group');
  await pass(one, { generation: 8, size: 4 });
  await expect(engine.stop(current, { generation: 7, signal })).rejects.toMatchObject({
    failure: 'fenced',
  });
});

test('creates one scale set from two controllers at once, and continues an upload', async () => {
  await Promise.all([pass(one), pass(one)]);
  expect([server.sets.size, server.versions.size]).toEqual([1, 1]);
  expect(server.changes().filter((name) => name.endsWith('.create'))).toHaveLength(1);
});

test('replaces one node', async () => {
  await pass(one);
  server.settle();
  const { signal } = new AbortController();
  const [current] = await engine.list('shop', { signal });
  const [node] = current?.nodes ?? [];
  if (current === undefined || node === undefined) throw new Error('no node');
  server.changes();
  await engine.replace(current, node.name, { generation: 1, signal });
  expect(server.changes()).toEqual(['virtualMachineScaleSets.reimage']);
});

test('says which credentials are missing or wrong, and keeps secrets out of messages', async () => {
  const { signal } = new AbortController();
  const settings = { ...AZURE_SETTINGS, endpoint: server.endpoint };
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
  await pass(one);
  const set = server.sets.get(NAME);
  if (set === undefined) throw new Error('no scale set');
  set.body['tags'] = { 'lkt.fleet': 'shop', 'lkt.group': 'other' };
  server.changes();
  await expect(pass(two)).rejects.toMatchObject({
    failure: 'nonsense',
    message: `fleet.yml:5:5: providers.frankfurt: azure: the tags of ${NAME} are damaged`,
    fix: expect.stringMatching(/^delete the /),
  });
  expect(server.changes()).toEqual([]);
});

/** Returns the files of the user data. */
function filesOf(): Readonly<Record<string, unknown>> {
  const { virtualMachineProfile } = bodyOf()['properties'] as Record<string, { userData: string }>;
  const text = Buffer.from(virtualMachineProfile?.userData ?? '', 'base64').toString();
  return JSON.parse(text) as Record<string, unknown>;
}

test('gives nodes their metadata, with another text for each roll', async () => {
  const more = '    template: { metadata: { hostname: { content: "${GROUP}" } } }\n';
  await pass(one, { more });
  const before = filesOf();
  const spec = '[0-9a-f]{16}';
  expect(before).toEqual({
    hostname: { content: 'web' },
    'lkt-roll': { content: expect.stringMatching(new RegExp(`^${spec} ${now}$`)) },
  });
  server.settle();
  now += 1000;
  await pass(two, { more });
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
])('rejects what a scale set cannot keep: %#', ([more, size, place, fix]) => {
  expect(() => controllerOf(one, { more, size })).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(place),
      fix: expect.stringContaining(fix),
    }),
  );
});
