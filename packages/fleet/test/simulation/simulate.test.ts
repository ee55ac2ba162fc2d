import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventQueue } from '../../src/simulation/event-queue.ts';
import { simulate, type SimulationOptions } from '../../src/simulation/simulate.ts';
import { simulationSvg } from '../../src/simulation/simulation-svg.ts';

const DAY_MS = 86_400_000;

const year: SimulationOptions = {
  spec: {
    fleet: 'simulated',
    name: 'group',
    size: 10,
    surge: 1,
    unavailable: 0,
    windows: [],
    startupTimeoutMs: 600_000,
    minReadyMs: 0,
    retries: 1,
    expireAfterMs: 30 * DAY_MS,
    jitter: 0.1,
    maxSick: 0.4,
    rollback: 'off',
    isPaused: false,
  },
  groups: 5,
  days: 365,
  seed: 1,
  model: {
    bootMs: [20_000, 180_000],
    shutdownMs: [5000, 60_000],
    failureMs: 365 * DAY_MS,
    badBoots: 0.002,
  },
};

test('returns the same result for the same seed', () => {
  const result = simulate(year);
  expect(simulate(year)).toEqual(result);
  expect(simulate({ ...year, seed: 2 })).not.toEqual(result);
});

test('replaces every node before it is too old, and misses next to none', () => {
  const { replaced, oldestDays, unavailability, nodes } = simulate(year);
  expect(nodes).toBe(50);
  expect(oldestDays).toBeLessThan(30.5);
  // A node lives for 28.5 days on average.
  expect(replaced.expired).toBeGreaterThan(50 * 11);
  expect(replaced.expired).toBeLessThan(50 * 14);
  expect(unavailability).toBeGreaterThan(0);
  expect(unavailability).toBeLessThan(0.001);
});

test('shows that jitter spreads the replacement of nodes of one birthday', () => {
  // All 200 nodes within a few hours, or spread over three days.
  expect(mostInAnHour(0)).toBeGreaterThan(150);
  expect(mostInAnHour(0.1)).toBeLessThan(30);
});

test('draws each day that had a replacement', () => {
  const result = simulate({ ...year, days: 60 });
  const svg = simulationSvg(result);
  const drawn = svg.match(/<title>day /g)?.length ?? 0;
  expect(drawn).toBe(result.daily.reduce((sum, day) => sum + Object.keys(day).length, 0));
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
});

test('returns values in the order of their times, then of their insertion', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20)), (times) => {
      const queue = new EventQueue<readonly [number, number]>();
      for (const [index, time] of times.entries()) queue.push(time, [time, index]);
      const taken: (readonly [number, number])[] = [];
      for (let next = queue.take(10); next !== undefined; next = queue.take(10)) taken.push(next);
      const expected = times
        .map((time, index): readonly [number, number] => [time, index])
        .filter(([time]) => time <= 10)
        .toSorted(([a, first], [b, second]) => a - b || first - second);
      expect(taken).toEqual(expected);
    }),
  );
});

function mostInAnHour(jitter: number): number {
  return simulate({ ...year, days: 40, groups: 20, spec: { ...year.spec, jitter } }).perHour.max;
}

test('wakes for a boot that never ends, and so lets no node grow old behind it', () => {
  const model = { ...year.model, badBoots: 0.05 };
  const spec = { ...year.spec, retries: 9 };
  expect(simulate({ ...year, spec, groups: 20, model }).oldestDays).toBeLessThan(30.2);
});
