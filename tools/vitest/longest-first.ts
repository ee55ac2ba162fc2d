import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes, the longest first, then the tiers. */
const ORDER: readonly RegExp[] = [
  /\/engines\.system\./,
  // Its machines mostly wait, which leaves the processors to the others.
  /\/resilience\.system\./,
  // These wait for builds of the first file.
  /\/fuzz\.system\./,
  /\/(?:check|reproducible)\.system\./,
  /\/script\.integration\./,
  /\.system\./,
  /\.integration\./,
];

/** Starts long files first: one that started last would leave the other processors idle. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await BaseSequencer.prototype.sort.call(this, files);
    return sorted.toSorted((one, other) => rank(one.moduleId) - rank(other.moduleId));
  }
}

function rank(path: string): number {
  const found = ORDER.findIndex((pattern) => pattern.test(path));
  return found === -1 ? ORDER.length : found;
}
