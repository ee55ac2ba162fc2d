import { digestOf } from '@lkt/core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { GroupSpec } from '../../src/reconcile/group-spec.ts';
import { CALM, TEMPLATE, World } from './world.ts';

const steady: GroupSpec = {
  fleet: 'test',
  name: 'web',
  image: digestOf('first'),
  template: TEMPLATE,
  size: 5,
  surge: 1,
  unavailable: 0,
  windows: [],
  startupTimeoutMs: 120_000,
  minReadyMs: 0,
  retries: 1,
  jitter: 0.2,
  maxSick: 0.4,
  rollback: 'off',
  isPaused: false,
};

function converged(group: GroupSpec, seed: number): World {
  const world = new World(group, seed);
  for (let tick = 0; tick < 100 && world.decision?.status.isConverged !== true; tick += 1)
    world.tick(CALM);
  expect(world.decision?.status.isConverged).toBe(true);
  return world;
}

const imagesOf = (world: World): readonly string[] =>
  world.listed().map(({ labels }) => labels.image);

test('stops the roll of a bad image before it costs a healthy node, and stays halted', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 6 }), fc.nat(2), (seed, size, surge) => {
      const unavailable = surge === 0 ? 1 : 0;
      const world = converged({ ...steady, size, surge, unavailable }, seed);
      const [old = ''] = imagesOf(world);
      world.want('bad');
      for (let tick = 0; tick < 300; tick += 1) world.tick(CALM);
      expect(world.decision?.status).toMatchObject({ isHalted: true, isConverged: false });
      expect(world.decision?.actions).toEqual([]);
      expect(imagesOf(world).filter((image) => image === old)).toHaveLength(size - unavailable);
      // The failed node stays as evidence, and a controller that starts elsewhere sees the halt.
      const elsewhere = new World(world.group, seed);
      elsewhere.time = world.time;
      for (const [id, node] of world.nodes) elsewhere.nodes.set(id, node);
      elsewhere.tick(CALM);
      expect(elsewhere.decision?.status.isHalted).toBe(true);
      // Not even for a node that is lost meanwhile.
      for (const node of world.nodes.values())
        if (node.labels.image === old) node.power = 'terminating';
      world.tick(CALM);
      expect(world.decision?.actions.filter(({ kind }) => kind === 'create')).toEqual([]);
    }),
  );
});

test('ends a halt for the age of a node, by the earlier image', () => {
  const expireAfterMs = 3_600_000;
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 6 }), fc.nat(2), (seed, size, surge) => {
      const unavailable = surge === 0 ? 1 : 0;
      const world = converged({ ...steady, size, surge, unavailable, expireAfterMs }, seed);
      const [old = ''] = imagesOf(world);
      world.want('bad');
      // Two failures, and then one node after the other.
      const bound = expireAfterMs + 2 * 180_000 + size * 150_000;
      let halts = 0;
      for (let tick = 0; tick < 1000; tick += 1) {
        world.tick(CALM);
        if (world.decision?.status.isHalted === true) halts += 1;
        for (const { labels } of world.listed())
          expect(world.now - labels.created).toBeLessThanOrEqual(bound);
      }
      // It stays halted for as long as all may live.
      expect(halts).toBeGreaterThan(100);
      expect(world.decision?.status).toMatchObject({ isRolledBack: true, isHalted: false });
      expect(new Set(imagesOf(world))).toEqual(new Set([old]));
    }),
    { numRuns: 30 },
  );
});

test('keeps a halt without an earlier image, and reports that nodes are too old', () => {
  const world = new World({ ...steady, expireAfterMs: 1_000_000 }, 1);
  world.want('half');
  for (let tick = 0; tick < 400; tick += 1) {
    world.tick(CALM);
    for (const node of world.nodes.values())
      if (world.decision?.status.isHalted === true && node.labels.ready === undefined)
        node.isCrashed = true;
  }
  expect(world.decision?.status).toMatchObject({
    isHalted: true,
    isRolledBack: false,
    holds: [
      'a node of the wanted image failed, and so did its retries',
      'nodes are older than expire.after',
    ],
  });
});

test('keeps a halt while the group is paused, also with old nodes', () => {
  const world = converged({ ...steady, expireAfterMs: 1_000_000 }, 1);
  world.want('bad');
  for (let tick = 0; tick < 50; tick += 1) world.tick(CALM);
  world.group = { ...world.group, isPaused: true };
  for (let tick = 0; tick < 400; tick += 1) world.tick(CALM);
  expect(world.decision?.status).toMatchObject({ isHalted: true, isRolledBack: false, listed: 6 });
  world.group = { ...world.group, size: 2 };
  for (let tick = 0; tick < 20; tick += 1) world.tick(CALM);
  expect(world.decision?.status).toMatchObject({ isHalted: true, listed: 3, available: 2 });
  world.group = { ...world.group, size: 0 };
  for (let tick = 0; tick < 20; tick += 1) world.tick(CALM);
  expect(world.decision?.status).toMatchObject({ isConverged: true, listed: 0 });
});

test('is paused once all nodes serve that are not held back', () => {
  const world = converged(steady, 1);
  world.want('good');
  world.tick(CALM);
  world.group = { ...world.group, isPaused: true };
  world.tick(CALM);
  expect(world.decision?.status).toMatchObject({ isPaused: false, listed: 6 });
  for (let tick = 0; tick < 30; tick += 1) world.tick(CALM);
  expect(world.decision?.status).toMatchObject({ isPaused: true, isConverged: false, listed: 5 });
  for (const node of world.nodes.values()) node.isCrashed = true;
  world.tick(CALM);
  expect(world.decision?.status.isPaused).toBe(false);
});

test('does not halt a group that runs the image because one node cannot boot', () => {
  const world = converged({ ...steady, retries: 0 }, 1);
  const [lost] = world.nodes.values();
  if (lost === undefined) throw new Error('no node');
  lost.power = 'stopped';
  for (let tick = 0; tick < 40; tick += 1) world.tick({ ...CALM, neverBoots: 1 });
  expect(world.decision?.status.isHalted).toBe(false);
  for (let tick = 0; tick < 40; tick += 1) world.tick(CALM);
  expect(world.decision?.status.isConverged).toBe(true);
});

test('rolls back a bad image if configured, and does not retry it', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 6 }), fc.nat(2), (seed, size, surge) => {
      const unavailable = surge === 0 ? 1 : 0;
      const world = converged({ ...steady, size, surge, unavailable, rollback: 'auto' }, seed);
      const [old = ''] = imagesOf(world);
      world.want('bad');
      for (let tick = 0; tick < 400; tick += 1) world.tick(CALM);
      expect(world.decision?.status).toMatchObject({ isConverged: true, isRolledBack: true });
      expect(imagesOf(world)).toEqual(Array(size).fill(old));
      const before = world.actionCount;
      for (let tick = 0; tick < 400; tick += 1) world.tick(CALM);
      expect(world.actionCount).toBe(before);
      // Nor does a controller that starts elsewhere, which knows only what the provider knows.
      const elsewhere = new World(world.group, seed);
      elsewhere.time = world.time;
      for (const [id, node] of world.nodes) elsewhere.nodes.set(id, node);
      for (let tick = 0; tick < 20; tick += 1) elsewhere.tick(CALM);
      expect(elsewhere.decision?.status).toMatchObject({ isConverged: true, isRolledBack: true });
      expect(elsewhere.actionCount).toBe(0);
      world.want('good');
      for (let tick = 0; tick < 400; tick += 1) world.tick(CALM);
      expect(world.decision?.status).toMatchObject({ isConverged: true, isRolledBack: false });
      expect(imagesOf(world)).toEqual(Array(size).fill(world.group.image));
    }),
  );
});

test('replaces each node within expireAfter and the time that the budget needs', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 6 }), fc.nat(2), (seed, size, surge) => {
      const expireAfterMs = 3_600_000;
      const unavailable = surge === 0 ? 1 : 0;
      const world = converged({ ...steady, size, surge, unavailable, expireAfterMs }, seed);
      // One node after the other, each with a shutdown and a boot of a minute at most.
      const bound = expireAfterMs + size * 150_000;
      for (let tick = 0; tick < 1500; tick += 1) {
        world.tick(CALM);
        for (const { labels } of world.listed())
          expect(world.now - labels.created).toBeLessThanOrEqual(bound);
      }
      expect(world.actionCount).toBeGreaterThan(size * 3);
    }),
    { numRuns: 30 },
  );
});

test('leaves no node beyond the size', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(4), fc.boolean(), (seed, size, isNamed) => {
      const names = (count: number): Partial<GroupSpec> =>
        isNamed
          ? { names: Array.from({ length: count }, (_, slot) => `web-${slot}`), surge: 0 }
          : {};
      const world = converged({ ...steady, unavailable: 1, ...names(5) }, seed);
      world.group = { ...world.group, size, ...names(size) };
      for (let tick = 0; tick < 60; tick += 1) world.tick(CALM);
      expect(world.decision?.status).toMatchObject({ isConverged: true, listed: size });
    }),
    { numRuns: 50 },
  );
});

test('reports that nodes boot for longer than they may live', () => {
  const world = converged({ ...steady, expireAfterMs: 3_600_000 }, 1);
  world.tick(CALM);
  expect(world.decision?.status.holds).toEqual([]);
  const [node] = world.nodes.values();
  if (node === undefined) throw new Error('no node');
  const { ready = 0 } = node.labels;
  node.labels = { ...node.labels, created: ready - 3_600_000 };
  world.tick(CALM);
  expect(world.decision?.status.holds).toEqual([
    'a node took longer to boot than it may live (expire.after)',
  ]);
});

test('expires no node in the pass in which the clock jumped', () => {
  const world = converged({ ...steady, expireAfterMs: 3_600_000, unavailable: 1, surge: 0 }, 1);
  world.offset += 2_000_000_000;
  world.tick(CALM);
  expect(world.decision?.status.stale).toBe(0);
  world.tick(CALM);
  expect(world.decision?.status.stale).toBe(5);
});

test('does not wait for a node created by a clock a day ahead', () => {
  const world = converged(steady, 1);
  world.offset = 86_400_000;
  world.want('bad');
  world.tick(CALM);
  world.offset = 0;
  for (let tick = 0; tick < 60; tick += 1) world.tick(CALM);
  expect(world.decision?.status).toMatchObject({ isHalted: true, available: 5 });
});

test('replaces no node when the hash rules change', () => {
  const world = converged(steady, 1);
  for (const node of world.nodes.values())
    node.labels = { ...node.labels, spec: '0000000000000000', specVersion: 0 };
  world.tick(CALM);
  expect(world.decision?.actions.map(({ kind }) => kind)).toEqual(Array(5).fill('rehash'));
  world.tick(CALM);
  expect(world.decision?.status.isConverged).toBe(true);
});

test('replaces nodes only while a window is open', () => {
  const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
  const now = new Date(1_700_000_000_000);
  const minute = now.getUTCHours() * 60 + now.getUTCMinutes();
  const from = (minute + 60) % 1440;
  const window = { days, from, to: (from + 60) % 1440, zone: 'UTC' };
  const world = converged({ ...steady, windows: [window] }, 1);
  world.want('good');
  for (let tick = 0; tick < 20; tick += 1) world.tick(CALM);
  expect(world.decision?.actions).toEqual([]);
  expect(world.decision?.status.holds).toEqual(['no window for replacements is open']);
  for (let tick = 0; tick < 600; tick += 1) world.tick(CALM);
  expect(world.decision?.status.isConverged).toBe(true);
});

test('rolls a new image to the canaries only, until they are baked', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(2), fc.integer({ min: 1, max: 2 }), (seed, surge, canaries) => {
      const unavailable = surge === 0 ? 2 : 0;
      const canary = { nodes: canaries, bakeMs: 600_000 };
      const world = converged({ ...steady, surge, unavailable, canary }, seed);
      world.want('good');
      const news = (): number =>
        imagesOf(world).filter((image) => image === world.group.image).length;
      for (let tick = 0; tick < 60; tick += 1) {
        world.tick(CALM);
        expect(news()).toBeLessThanOrEqual(canaries);
      }
      expect(news()).toBe(canaries);
      for (let tick = 0; tick < 300; tick += 1) world.tick(CALM);
      expect(world.decision?.status.isConverged).toBe(true);
    }),
    { numRuns: 50 },
  );
});
