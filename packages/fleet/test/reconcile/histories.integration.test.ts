import { digestOf } from '@lkt/core';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type GroupSpec, specHash } from '../../src/reconcile/group-spec.ts';
import { DAYS } from '../../src/reconcile/windows.ts';
import { CALM, type Chaos, TEMPLATE, World } from './world.ts';

const HISTORIES = 10_000;
/** Enough for six nodes, one at a time, with drains, retries, windows and wrong clocks. */
const CALM_TICKS = 3000;

const probability = fc.constantFrom(0, 0, 0.02, 0.1, 0.3);
const chaos: fc.Arbitrary<Chaos> = fc.record({
  controllerDies: probability,
  callFails: probability,
  answerLost: probability,
  noRoom: probability,
  nodeCrashes: fc.constantFrom(0, 0.002, 0.02, 0.1),
  nodeLosesPower: fc.constantFrom(0, 0.002, 0.02),
  neverBoots: probability,
  clockJumps: fc.constantFrom(0, 0, 0.02, 0.1),
  userActs: fc.constantFrom(0, 0.02, 0.1, 0.3),
});

/** Half of every hour. */
const HOURLY: GroupSpec['windows'] = Array.from({ length: 24 }, (_, hour) => ({
  days: DAYS,
  from: hour * 60,
  to: hour * 60 + 30,
  zone: 'UTC',
}));

const groups: fc.Arbitrary<GroupSpec> = fc
  .record({
    size: fc.integer({ min: 1, max: 6 }),
    isNamed: fc.boolean(),
    surge: fc.nat(2),
    unavailable: fc.nat(2),
    minReadyMs: fc.constantFrom(0, 20_000),
    retries: fc.nat(2),
    windows: fc.constantFrom([], [], [], HOURLY),
    expires: fc.boolean(),
    canary: fc.option(fc.record({ nodes: fc.constantFrom(1, 2), bakeMs: fc.constant(60_000) })),
    drains: fc.boolean(),
    maxSick: fc.constantFrom(0.2, 0.5, 1),
    rollback: fc.constantFrom('off' as const, 'auto' as const),
  })
  .map(({ size, isNamed, surge, unavailable, canary, ...rest }) => ({
    fleet: 'test',
    name: 'web',
    image: digestOf('first'),
    template: TEMPLATE,
    size,
    ...(isNamed ? { names: Array.from({ length: size }, (_, slot) => `web-${slot}`) } : {}),
    surge: isNamed ? 0 : surge,
    // Without both, no node can ever be replaced, and the parser rejects it.
    unavailable: isNamed || surge === 0 ? Math.max(1, unavailable) : unavailable,
    windows: rest.windows,
    startupTimeoutMs: 120_000,
    minReadyMs: rest.minReadyMs,
    retries: rest.retries,
    ...(rest.expires ? { expireAfterMs: 3_600_000 } : {}),
    jitter: 0.2,
    maxSick: rest.maxSick,
    ...(canary === null ? {} : { canary }),
    ...(rest.drains ? { drainTimeoutMs: 30_000 } : {}),
    rollback: rest.rollback,
    isPaused: false,
  }));

const history = fc.record({
  group: groups,
  chaos,
  seed: fc.nat(),
  ticks: fc.integer({ min: 10, max: 80 }),
});

test('keeps its promises in random histories, and converges once the faults end', () => {
  fc.assert(
    fc.property(history, ({ group: wanted, chaos: faults, seed, ticks }) => {
      const world = new World(wanted, seed);
      for (let tick = 0; tick < ticks; tick += 1) world.tick(faults);
      world.release();
      world.want('good');
      const { image, template, size } = world.group;
      const isDone = (): boolean =>
        world.decision?.status.isConverged === true &&
        world.decision.status.image === image &&
        world.healthyCount === size;
      for (let tick = 0; tick < CALM_TICKS && !isDone(); tick += 1) world.tick(CALM);
      expect(world.decision?.status).toMatchObject({ isConverged: true, isHalted: false, image });
      const spec = specHash(image, template);
      expect(world.listed().map(({ labels }) => labels.spec)).toEqual(Array(size).fill(spec));
      // Nothing flaps.
      const before = world.actionCount;
      for (let tick = 0; tick < 5; tick += 1) world.tick(CALM);
      if (wanted.expireAfterMs === undefined) expect(world.actionCount).toBe(before);
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
});
