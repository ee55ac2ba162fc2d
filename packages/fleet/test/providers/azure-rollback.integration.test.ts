import { type Digest, digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { versionOf } from '../../src/providers/azure/machine-image.ts';
import { AzureCloud } from './azure-cloud.ts';
import { statusOf } from './engine-passes.ts';

const [one, two] = [digestOf('one'), digestOf('two')];
const DAY_MS = 86_400_000;
const cloud = new AzureCloud();

/** Rolls the group from image one to image two, which fails. */
async function failRoll(options: { readonly more: string }): Promise<void> {
  await cloud.pass(one, options);
  cloud.server.settle(new Date(cloud.now));
  await cloud.pass(two, options);
  cloud.server.begin();
  cloud.server.finish('Faulted', 'MaxUnhealthyUpgradedInstancePercentExceeded');
  cloud.server.changes();
  cloud.events.length = 0;
}

/** Ends the upgrade that Azure has begun, with new nodes. */
function complete(): void {
  cloud.server.begin();
  cloud.server.finish('Completed');
  cloud.server.settle(new Date(cloud.now));
}

/** Matches a scale set model with this image. */
function modelOf(image: Digest): object {
  const id: unknown = expect.stringContaining(`/versions/${versionOf(image)}`);
  return {
    upgradePolicy: { mode: 'Rolling' },
    virtualMachineProfile: { storageProfile: { imageReference: { id } } },
  };
}

test('rolls back from a failed image to the one before, for new nodes too, and retries only on request', async () => {
  const auto = { more: '    roll: { rollback: auto }\n' };
  await failRoll(auto);
  expect(cloud.body()).toMatchObject({
    properties: {
      upgradePolicy: { rollingUpgradePolicy: { rollbackFailedInstancesOnPolicyBreach: true } },
    },
  });
  await cloud.pass(two, auto);
  expect(cloud.server.changes()).toEqual(['virtualMachineScaleSets.update']);
  expect(cloud.events).toMatchObject([{ kind: 'rollback', group: 'web', image: one }]);
  // Otherwise a repair, or a larger size, would start nodes of the image that failed.
  expect(cloud.body()).toMatchObject({ properties: modelOf(one) });
  const expected = { isHalted: false, isRolledBack: true, image: one };
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject(expected);
  cloud.server.begin();
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject(expected);
  cloud.server.finish('Completed');
  cloud.server.settle(new Date(cloud.now));
  const ended = await cloud.pass(two, auto);
  expect(statusOf(ended)).toMatchObject({ isHalted: true, isRolledBack: true, available: 3 });
  expect(ended.groups.get('web')?.nodes.map(({ labels }) => labels.image)).toEqual([one, one, one]);
  expect(cloud.server.changes()).toEqual([]);
  await cloud.pass(two, { ...auto, retry: true });
  expect(cloud.body()).toMatchObject({ properties: modelOf(two) });
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject({ isRolledBack: false });
  complete();
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject({ isConverged: true });
});

test('replaces old nodes of the earlier image after a rollback', async () => {
  const auto = { more: '    roll: { rollback: auto }\n    expire: { after: 30d }\n' };
  await failRoll(auto);
  await cloud.pass(two, auto);
  complete();
  cloud.now += 30 * DAY_MS + 1;
  cloud.server.changes();
  cloud.events.length = 0;
  await cloud.pass(two, auto);
  expect(cloud.server.changes()).toEqual(['virtualMachineScaleSets.update']);
  expect(cloud.events).toContainEqual(expect.objectContaining({ kind: 'roll', image: one }));
  expect(cloud.body()).toMatchObject({ properties: modelOf(one) });
  const rolling = await cloud.pass(two, auto);
  expect(rolling.groups.get('web')?.nodes[0]?.labels.image).toBe(one);
  complete();
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject({
    isHalted: true,
    isRolledBack: true,
    available: 3,
    holds: ["the engine's roll was rolled back"],
  });
  expect(cloud.server.changes()).toEqual([]);
});

test('returns a halted group to the earlier image once a node is too old', async () => {
  const aged = { more: '    expire: { after: 30d }\n' };
  await failRoll(aged);
  expect(statusOf(await cloud.pass(two, aged))).toMatchObject({ isHalted: true });
  expect(cloud.server.changes()).toEqual([]);
  cloud.now += 30 * DAY_MS + 1;
  await cloud.pass(two, aged);
  expect(cloud.body()).toMatchObject({ properties: modelOf(one) });
  complete();
  expect(statusOf(await cloud.pass(two, aged))).toMatchObject({ isRolledBack: true, available: 3 });
});

test('does not roll back across a change of the template, and reports that nodes are too old', async () => {
  const aged = '    expire: { after: 30d }\n    roll: { rollback: auto }\n';
  await cloud.pass(one, { more: `${aged}    template: { metadata: { a: { content: old } } }\n` });
  cloud.server.settle(new Date(cloud.now));
  await cloud.pass(two, { more: aged });
  cloud.server.begin();
  cloud.server.finish('Faulted');
  cloud.now += 30 * DAY_MS + 1;
  cloud.server.changes();
  expect(statusOf(await cloud.pass(two, { more: aged }))).toMatchObject({
    isHalted: true,
    holds: ["the engine's roll failed", 'nodes are older than expire.after'],
  });
  expect(cloud.server.changes()).toEqual([]);
});

test('returns to the earlier image on request', async () => {
  const { signal } = new AbortController();
  await cloud.pass(one);
  cloud.server.settle();
  const controller = cloud.controller(two);
  const call = { generation: 1, signal };
  expect(await controller.rollBackEngine('web', call)).toBeUndefined();
  await cloud.pass(two);
  complete();
  expect(await controller.rollBackEngine('web', call)).toBe(one);
  complete();
  expect(statusOf(await cloud.pass(two))).toMatchObject({ isRolledBack: true, available: 3 });
});
