import { type Digest, digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { engineController, passOf, statusOf } from './engine-passes.ts';
import { GcpCloud } from './gcp-cloud.ts';

const [one, two] = [digestOf('one'), digestOf('two')];
const DAY_MS = 86_400_000;
const cloud = new GcpCloud();

test('rolls back from a failed image to the one before, and does not retry the failed one', async () => {
  const auto = { more: '    roll: { rollback: auto }\n' };
  await cloud.pass(one, auto);
  cloud.server.settle();
  await cloud.pass(two, auto);
  const [old = ''] = cloud.server.templates.keys();
  cloud.addFailing();
  cloud.now += 600_001;
  cloud.server.changes();
  cloud.events.length = 0;
  await cloud.pass(two, auto);
  expect(cloud.server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(cloud.events).toMatchObject([{ kind: 'rollback', group: 'web', image: one }]);
  expect(cloud.group()).toMatchObject({
    versions: [{ instanceTemplate: `projects/shop-1234/global/instanceTemplates/${old}` }],
    updatePolicy: { type: 'PROACTIVE', maxSurge: { fixed: 1 }, maxUnavailable: { fixed: 0 } },
  });
  // A pause does not leave nodes of the bad image.
  const paused = { more: '    roll: { rollback: auto, paused: true }\n' };
  for (const options of [auto, paused])
    expect(statusOf(await cloud.pass(two, options))).toMatchObject({
      isHalted: false,
      isRolledBack: true,
      image: one,
      holds: ["the engine's roll failed, and is rolled back"],
    });
  cloud.server.settle();
  cloud.now += 600_001;
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject({
    isHalted: true,
    isRolledBack: true,
    available: 3,
  });
  expect(cloud.server.changes()).toEqual([]);
  // Until a retry, and another time back.
  await cloud.pass(two, { ...auto, retry: true });
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject({
    isHalted: false,
    isRolledBack: false,
  });
  cloud.addFailing();
  cloud.now += 600_001;
  await cloud.pass(two, auto);
  cloud.server.settle();
  // Another image is another try.
  cloud.server.changes();
  await cloud.pass(digestOf('three'), auto);
  expect(cloud.server.changes().at(-1)).toBe('instanceGroupManagers.patch');
  cloud.server.settle();
  expect(statusOf(await cloud.pass(digestOf('three'), auto))).toMatchObject({
    isConverged: true,
    isRolledBack: false,
  });
});

test('halts without rolling back if the nodes that replace old ones fail', async () => {
  const auto = { more: '    roll: { rollback: auto }\n    expire: { after: 30d }\n' };
  await cloud.pass(two, auto);
  cloud.server.settle(new Date(cloud.now));
  await cloud.pass(one, auto);
  cloud.server.settle(new Date(cloud.now));
  cloud.now += 30 * DAY_MS;
  await cloud.pass(one, auto);
  cloud.addFailing();
  expect(statusOf(await cloud.pass(one, auto))).toMatchObject({ isHalted: false });
  cloud.now += 600_001;
  cloud.server.changes();
  expect(statusOf(await cloud.pass(one, auto))).toMatchObject({
    isHalted: true,
    isRolledBack: false,
  });
  expect(cloud.server.changes()).toEqual([]);
});

test('rolls back only to an image that is still trusted', async () => {
  const auto = { more: '    roll: { rollback: auto }\n' };
  await cloud.pass(one, auto);
  cloud.server.settle();
  await cloud.pass(two, auto);
  cloud.addFailing();
  cloud.now += 600_001;
  cloud.server.changes();
  const text = cloud.text(two, auto);
  const untrusted = new Error('not trusted');
  const reject = (digest: Digest): Error | undefined => (digest === one ? untrusted : undefined);
  const { engine, events } = cloud;
  const careful = engineController({ text, engine, events, now: () => cloud.now, reject });
  await expect(passOf(careful, {})).rejects.toBe(untrusted);
  expect(cloud.server.changes()).toEqual([]);
  await cloud.pass(two, auto);
  expect(cloud.server.changes()).toEqual(['instanceGroupManagers.patch']);
});

test('replaces old nodes of the earlier image after a rollback', async () => {
  const auto = { more: '    roll: { rollback: auto }\n    expire: { after: 30d }\n' };
  await cloud.pass(one, auto);
  cloud.server.settle(new Date(cloud.now));
  const [old = ''] = cloud.server.templates.keys();
  await cloud.pass(two, auto);
  cloud.addFailing();
  cloud.now += 600_001;
  await cloud.pass(two, auto);
  cloud.server.settle(new Date(cloud.now));
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject({ isHalted: true });
  cloud.now += 30 * DAY_MS;
  cloud.server.changes();
  cloud.events.length = 0;
  await cloud.pass(two, auto);
  expect(cloud.server.changes()).toEqual(['instanceGroupManagers.patch']);
  expect(cloud.events).toContainEqual(expect.objectContaining({ kind: 'roll', image: one }));
  expect(cloud.group()).toMatchObject({
    versions: [
      {
        instanceTemplate: `projects/shop-1234/global/instanceTemplates/${old}`,
        name: `lkt-${cloud.now}`,
      },
    ],
    updatePolicy: { type: 'PROACTIVE', maxSurge: { fixed: 1 } },
  });
  await cloud.pass(two, auto);
  cloud.server.settle(new Date(cloud.now));
  expect(statusOf(await cloud.pass(two, auto))).toMatchObject({
    isHalted: true,
    isRolledBack: true,
    available: 3,
  });
  expect(cloud.server.changes()).toEqual([]);
});

test('returns a halted group to the earlier image once a node is too old', async () => {
  const aged = { more: '    expire: { after: 30d }\n' };
  await cloud.pass(one, aged);
  cloud.server.settle(new Date(cloud.now));
  await cloud.pass(two, aged);
  cloud.addFailing();
  cloud.now += 600_001;
  cloud.server.changes();
  expect(statusOf(await cloud.pass(two, aged))).toMatchObject({ isHalted: true });
  expect(cloud.server.changes()).toEqual([]);
  cloud.now += 30 * DAY_MS;
  const kinds = [];
  for (let pass = 0; pass < 4; pass += 1) {
    cloud.events.length = 0;
    await cloud.pass(two, aged);
    kinds.push(
      cloud.events.map(({ kind, image }) => [kind, image]).find(([kind]) => kind !== 'halted'),
    );
    cloud.server.settle(new Date(cloud.now));
  }
  expect(kinds).toEqual([['rollback', one], ['roll', one], undefined, undefined]);
  expect(statusOf(await cloud.pass(two, aged))).toMatchObject({ isRolledBack: true, available: 3 });
});
