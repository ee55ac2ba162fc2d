import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { type Durations, readDurations } from './durations.ts';

/** Files that take minutes on a new machine, the longest first, then the tiers. */
const ORDER: readonly RegExp[] = [
  /\/engines\.system\./,
  // Their machines mostly wait, which leaves the processors to the others.
  /\/(?:fleet|resilience)\.system\./,
  // These wait for builds of the first file.
  /\/fuzz\.system\./,
  /\/(?:check|install|reproducible)\.system\./,
  /\/script\.integration\./,
  /\/(?:attack|buildctl|network|services)\.system\./,
  /\.system\./,
  /\.integration\./,
];

/**
 * Starts long files first: one that started last would leave the other processors idle. Files that
 * have run before are ordered by what they took.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await BaseSequencer.prototype.sort.call(this, files);
    const paths = sorted.map(({ moduleId }) => relative(this.ctx.config.root, moduleId));
    const order = longestFirst(paths, readDurations());
    return order.flatMap((at) => sorted[at] ?? []);
  }
}

/** Returns the indices of test files, in the order in which to start them. */
export function longestFirst(paths: readonly string[], durations: Durations): readonly number[] {
  // A file without a duration counts as long as the longest file of its kind. If no file of its
  // kind has run, it starts first, since it may take longest; a unit test starts last.
  const longest = new Map<number, number>();
  for (const path of paths) {
    const duration = durations[path];
    if (duration !== undefined)
      longest.set(rank(path), Math.max(longest.get(rank(path)) ?? 0, duration));
  }
  const expected = (path: string): number =>
    durations[path] ?? longest.get(rank(path)) ?? expectedOfKind(rank(path));
  const items = paths.map((path, at) => ({ at, rank: rank(path), expected: expected(path) }));
  return items
    .toSorted((one, other) => other.expected - one.expected || one.rank - other.rank)
    .map(({ at }) => at);
}

/** Returns the assumed duration of a file whose kind has not run yet. Unit tests are short. */
function expectedOfKind(kind: number): number {
  return kind < ORDER.length ? Number.MAX_SAFE_INTEGER : 0;
}

function rank(path: string): number {
  const found = ORDER.findIndex((pattern) => pattern.test(`/${path}`));
  return found === -1 ? ORDER.length : found;
}
