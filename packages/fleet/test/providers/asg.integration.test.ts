import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { type Digest, digestOf } from '@lkt/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { FleetController, FleetPass } from '../../src/controller/controller.ts';
import type { FleetEvent } from '../../src/events/event.ts';
import type { KeptImage } from '../../src/image/kept-images.ts';
import { AsgEngine } from '../../src/providers/asg/engine.ts';
import { TemplateVersions } from '../../src/providers/asg/template-versions.ts';
import { clientOptions } from '../../src/providers/aws/client.ts';
import { type AsgServer, startAsgServer } from './asg-server.ts';
import { awsRights } from './documented-rights.ts';
import { engineController, passOf, type PassOptions, statusOf } from './engine-passes.ts';

// AWS's own Auto Scaling has not been met: the server rejects what AWS documents as invalid.
const [one, two, three] = [digestOf('one'), digestOf('two'), digestOf('three')];
let server: AsgServer;
let engine: AsgEngine;
let events: FleetEvent[];

beforeEach(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = 'test';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'test';
  server = await startAsgServer();
  engine = new AsgEngine({ region: 'eu-central-1', endpoint: server.endpoint });
  // The upload is the one of the provider aws, whose test has moto.
  engine.prepare = async ({ digest }) => `ami-${digest.slice(7, 24)}`;
  events = [];
});

afterEach(async () => {
  await engine[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
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
  frankfurt: { asg: { region: eu-central-1 } }
groups:
  web:
    provider: frankfurt
    image: web@${image}
    size: ${size}
    template: { metadata: { hostname: { content: "\${GROUP}" } } }
    expire: { after: 30d }
    asg:
      instanceType: t3.small
      subnets: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]
      securityGroups: [sg-0123456789abcdef0]
${more}`;
  return engineController({ text, engine, events });
}

async function pass(image: Digest, options: Options & PassOptions = {}): Promise<FleetPass> {
  // A new controller each time: it has no state of its own.
  return passOf(controllerOf(image, options), options);
}

function changes(): readonly string[] {
  const actions = server.requests.map(({ action }) => action);
  server.requests.length = 0;
  return actions.filter((action) => !action.startsWith('Describe'));
}

/** Returns the default versions of the template. */
function defaults(): readonly number[] {
  const versions = server.templates.get('lkt.shop.web') ?? [];
  return versions.filter(({ isDefault }) => isDefault).map(({ number }) => number);
}

const read = (path: string): string => readFileSync(join(import.meta.dirname, path), 'utf8');

test('documents the rights of every call, and no others', () => {
  const source = ['engine.ts', 'template-versions.ts']
    .map((name) => read(`../../src/providers/asg/${name}`))
    .join('');
  const calls = [...source.matchAll(/new (\w+)Command\(/g)].map(
    ([, name = '']) =>
      `${/LaunchTemplate|^DescribeInstances$/.test(name) ? 'ec2' : 'autoscaling'}:${name}`,
  );
  // Rights that AWS checks when a template or a group names them.
  expect(awsRights('asg.json')).toEqual(new Set([...calls, 'ec2:CreateTags', 'ec2:RunInstances']));
});

test('creates a group with a template, and then does nothing', async () => {
  await pass(one);
  const [create] = server.requests.filter(({ action }) => action === 'CreateAutoScalingGroup');
  expect(create?.parameters).toMatchObject({
    AutoScalingGroupName: 'lkt.shop.web',
    'LaunchTemplate.LaunchTemplateName': 'lkt.shop.web',
    'LaunchTemplate.Version': '1',
    VPCZoneIdentifier: 'subnet-0123456789abcdef0,subnet-0123456789abcdef1',
    HealthCheckType: 'EC2',
    MinSize: '3',
    MaxSize: '3',
    DesiredCapacity: '3',
    MaxInstanceLifetime: '2592000',
    'InstanceMaintenancePolicy.MinHealthyPercentage': '100',
    'InstanceMaintenancePolicy.MaxHealthyPercentage': '134',
  });
  const [template] = server.requests.filter(({ action }) => action === 'CreateLaunchTemplate');
  expect(template?.parameters).toMatchObject({
    'LaunchTemplateData.ImageId': `ami-${one.slice(7, 24)}`,
    'LaunchTemplateData.InstanceType': 't3.small',
    'LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1': 'sg-0123456789abcdef0',
    'LaunchTemplateData.MetadataOptions.HttpTokens': 'required',
    VersionDescription: expect.stringMatching(/^[0-9a-f]{16} sha256:[0-9a-f]{64} [0-9a-f]{16}$/),
  });
  const userData = template?.parameters['LaunchTemplateData.UserData'] ?? '';
  expect(Buffer.from(userData, 'base64').toString()).toBe('{"hostname":{"content":"web"}}');
  // Metadata may have secrets: neither tags nor descriptions have a part of it.
  const others = server.requests.map(({ parameters }) => ({
    ...parameters,
    'LaunchTemplateData.UserData': '',
  }));
  expect(JSON.stringify([others, events])).not.toMatch(/hostname|content/);
  expect(JSON.stringify(others)).not.toContain(userData);
  expect(changes()).toEqual(['CreateLaunchTemplate', 'CreateAutoScalingGroup']);
  expect(statusOf(await pass(one))).toMatchObject({ isConverged: false, listed: 0 });
  server.settle();
  expect(statusOf(await pass(one))).toMatchObject({
    isConverged: true,
    available: 3,
    current: 3,
    stale: 0,
  });
  expect(changes()).toEqual([]);
  expect(events.map(({ kind }) => kind)).toEqual(['stated', 'converged']);
});

test('starts one instance refresh for another image, and waits for its end', async () => {
  await pass(one);
  server.settle();
  changes();
  await pass(two);
  const [start] = server.requests.filter(({ action }) => action === 'StartInstanceRefresh');
  expect(start?.parameters).toMatchObject({
    AutoScalingGroupName: 'lkt.shop.web',
    Strategy: 'Rolling',
    'DesiredConfiguration.LaunchTemplate.Version': '2',
    'Preferences.MinHealthyPercentage': '100',
    'Preferences.MaxHealthyPercentage': '134',
    'Preferences.SkipMatching': 'true',
    'Preferences.AutoRollback': 'false',
  });
  expect(changes()).toEqual([
    'CreateLaunchTemplateVersion',
    'CreateOrUpdateTags',
    'StartInstanceRefresh',
  ]);
  const rolling = await pass(two);
  expect(statusOf(rolling)).toMatchObject({ isConverged: false, stale: 3, holds: [] });
  expect(rolling.groups.get('web')?.decision.live[0]?.staleFor).toBe('image');
  expect(changes()).toEqual([]);
  server.finish('lkt.shop.web', 'Successful');
  // An instance that a person starts from the template is as those of the group.
  await pass(two);
  expect(changes()).toEqual(['ModifyLaunchTemplate']);
  expect(defaults()).toEqual([2]);
  expect(statusOf(await pass(two))).toMatchObject({ isConverged: true });
  expect(changes()).toEqual([]);
  // The version of an earlier image is used again.
  await pass(one);
  expect(changes()).toEqual(['CreateOrUpdateTags', 'StartInstanceRefresh']);
  expect(server.templates.get('lkt.shop.web')).toHaveLength(2);
});

test('halts when AWS says that a refresh failed, and begins it again on request', async () => {
  await pass(one);
  server.settle();
  await pass(two);
  server.finish('lkt.shop.web', 'Failed', 'Desired configuration failed health checks');
  changes();
  expect(statusOf(await pass(two))).toMatchObject({
    isHalted: true,
    isConverged: false,
    holds: ["the engine's roll failed: Desired configuration failed health checks"],
  });
  expect(events.at(-1)).toMatchObject({ kind: 'halted' });
  expect(changes()).toEqual([]);
  await pass(two, { retry: true });
  expect(changes()).toEqual(['CreateOrUpdateTags', 'StartInstanceRefresh']);
  server.finish('lkt.shop.web', 'RollbackSuccessful');
  expect(statusOf(await pass(two))).toMatchObject({ isHalted: true, isRolledBack: true });
  // Back to the image that the nodes have: nothing is left to do.
  expect(statusOf(await pass(one))).toMatchObject({ isConverged: true });
});

test('cancels an instance refresh if the image is no longer wanted, or the group is paused', async () => {
  await pass(one);
  server.settle();
  await pass(two);
  changes();
  await pass(one);
  expect(changes()).toEqual(['CancelInstanceRefresh']);
  expect(statusOf(await pass(one))).toMatchObject({ isConverged: true });
  await pass(two);
  changes();
  const paused = { more: '    roll: { paused: true }\n' };
  expect(statusOf(await pass(two, paused))).toMatchObject({ holds: ['the group is paused'] });
  expect(changes()).toEqual(['CancelInstanceRefresh']);
});

test('sets the size and the budget, also after a person changed them', async () => {
  await pass(one);
  server.settle();
  changes();
  await pass(one, { size: 4, more: '    roll: { surge: 100% }\n' });
  const [update] = server.requests.filter(({ action }) => action === 'UpdateAutoScalingGroup');
  expect(update?.parameters).toMatchObject({
    MaxSize: '4',
    'InstanceMaintenancePolicy.MinHealthyPercentage': '100',
    'InstanceMaintenancePolicy.MaxHealthyPercentage': '200',
  });
  expect(changes()).toEqual(['UpdateAutoScalingGroup', 'CreateOrUpdateTags']);
  const group = server.groups.get('lkt.shop.web');
  if (group === undefined) throw new Error('no group');
  group.size = 9;
  await pass(one, { size: 4, more: '    roll: { surge: 100% }\n' });
  expect(group.size).toBe(4);
});

test('rejects the late change of a controller that was replaced', async () => {
  await pass(one, { generation: 7 });
  server.settle();
  changes();
  await expect(pass(two, { generation: 6 })).rejects.toMatchObject({ failure: 'fenced' });
  expect(changes()).toEqual([]);
  await pass(two, { generation: 8 });
  expect(server.groups.get('lkt.shop.web')?.tags.get('lkt.generation')).toBe('8');
});

test('creates one group and one version from two controllers at once', async () => {
  await Promise.all([pass(one), pass(one)]);
  expect(server.groups.size).toBe(1);
  server.settle();
  await Promise.all([pass(two), pass(two)]);
  expect(server.templates.get('lkt.shop.web')).toHaveLength(2);
});

test('lists a group that the file does not have, and does not touch it', async () => {
  await pass(one);
  server.settle();
  const controller = controllerOf(one);
  const [group] = server.groups.values();
  if (group === undefined) throw new Error('no group');
  server.groups.set('lkt.shop.old', {
    ...group,
    tags: new Map([...group.tags, ['lkt.group', 'old']]),
  });
  server.templates.set('lkt.shop.old', []);
  changes();
  const { signal } = new AbortController();
  expect((await controller.pass({ generation: 1, signal })).orphanGroups).toEqual(['old']);
  expect(changes()).toEqual([]);
  expect(events.at(-1)).toMatchObject({ kind: 'orphan', group: 'old' });
});

test('removes a version of a template that nothing uses, and creates it again', async () => {
  const roll = async (image: Digest): Promise<void> => {
    await pass(image);
    server.finish('lkt.shop.web', 'Successful');
    await pass(image);
  };
  await pass(one);
  server.settle();
  await roll(two);
  await roll(three);
  const settings = clientOptions({ region: 'eu-central-1', endpoint: server.endpoint });
  const versions = new TemplateVersions(new EC2Client(settings), new AutoScalingClient(settings));
  const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
  const second = async (): Promise<KeptImage> => {
    // Not the default version, which is the latest.
    const list = await versions.list(options);
    const found = list.find(({ id }) => id === 'lkt.shop.web:2');
    expect(list.map(({ id }) => id)).toEqual(['lkt.shop.web:1', 'lkt.shop.web:2']);
    if (found === undefined) throw new Error('the version is not listed');
    return found;
  };
  expect(await second()).toMatchObject({ digest: two, isRemade: true });
  expect(await versions.isUsed(await second(), options)).toBe(false);
  await pass(two);
  expect(await versions.isUsed(await second(), options)).toBe(true);
  server.finish('lkt.shop.web', 'Successful');
  expect(await versions.isUsed(await second(), options)).toBe(true);
  await roll(three);
  const unused = await second();
  expect(await versions.isUsed(unused, options)).toBe(false);
  for (let times = 0; times < 2; times += 1) await versions.remove(unused, options);
  const numbers = (): readonly number[] =>
    (server.templates.get('lkt.shop.web') ?? []).map(({ number }) => number);
  expect(numbers()).toEqual([1, 3]);
  await roll(two);
  expect(numbers()).toEqual([1, 3, 4]);
});

test('touches nothing when the tags of a group are damaged', async () => {
  await pass(one);
  const [group] = server.groups.values();
  group?.tags.set('lkt.group', 'other');
  changes();
  await expect(pass(two)).rejects.toMatchObject({
    failure: 'malformed',
    message:
      'fleet.yml:4:14: providers.frankfurt: aws: the tags of the group lkt.shop.web are damaged',
    fix: expect.stringMatching(/^delete the /),
  });
  expect(changes()).toEqual([]);
});

test.for<[string, string, string]>([
  ['roll: { surge: 3, unavailable: 1 }', '16:11: groups.web.roll: ', 'lower one'],
  ['roll: { surge: 4 }', '16:11: groups.web.roll: ', 'lower one'],
  [
    'windows: [{ days: [Mon], from: "01:00", to: "02:00" }]',
    '16:14: groups.web.windows: ',
    'remove windows, or expire',
  ],
])('rejects a setting that Auto Scaling does not support: %s', ([line, place, fix]) => {
  expect(() => controllerOf(one, { more: `    ${line}\n` })).toThrow(
    expect.objectContaining({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(place),
      fix: expect.stringContaining(fix),
    }),
  );
});
