import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { addDurations, readDurations } from '../../vitest/durations.ts';
import { longestFirst } from '../../vitest/longest-first.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-durations-'));
afterAll(() => rmSync(dir, { recursive: true }));

const UNIT = 'packages/a/test/a.test.ts';
const INTEGRATION = 'packages/a/test/a.integration.test.ts';
const SYSTEM = 'tools/test/system/a.system.test.ts';
const OTHER = 'tools/test/system/b.system.test.ts';
const ENGINES = 'tools/test/system/engines.system.test.ts';
const PATHS = [UNIT, INTEGRATION, SYSTEM, OTHER, ENGINES];

const ordered = (durations: Readonly<Record<string, number>>): readonly string[] =>
  longestFirst(PATHS, durations).map((at) => PATHS[at] ?? '');

test('starts long files first, also on a new machine', () => {
  expect(ordered({})).toEqual([ENGINES, SYSTEM, OTHER, INTEGRATION, UNIT]);
});

test('orders files by what they took before', () => {
  expect(
    ordered({ [UNIT]: 1, [SYSTEM]: 20, [OTHER]: 30, [INTEGRATION]: 40, [ENGINES]: 10 }),
  ).toEqual([INTEGRATION, OTHER, SYSTEM, ENGINES, UNIT]);
});

test('starts files of a kind that has not run yet before all others', () => {
  expect(ordered({ [UNIT]: 1, [INTEGRATION]: 40 })).toEqual([
    ENGINES,
    SYSTEM,
    OTHER,
    INTEGRATION,
    UNIT,
  ]);
});

test('takes a new file to be as long as the longest of its kind', () => {
  expect(ordered({ [INTEGRATION]: 20, [OTHER]: 30, [ENGINES]: 40 })).toEqual([
    ENGINES,
    SYSTEM,
    OTHER,
    INTEGRATION,
    UNIT,
  ]);
});

test('remembers the longest duration of each file', () => {
  vi.stubEnv('XDG_CACHE_HOME', dir);
  expect(readDurations()).toEqual({});
  addDurations(new Map([[SYSTEM, 20]]));
  addDurations(
    new Map([
      [SYSTEM, 10],
      [OTHER, 5],
    ]),
  );
  expect(readDurations()).toEqual({ [SYSTEM]: 20, [OTHER]: 5 });
});
