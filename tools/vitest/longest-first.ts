import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that build or boot take minutes: one that began last would leave all other processors without work. */
const LONG: readonly RegExp[] = [
  /\/tools\/test\/system\/engines\.test\.ts$/,
  // Beside the one before it, which has these wait for what it builds.
  /\/tools\/test\/system\/fuzz\.test\.ts$/,
  /\/tools\/test\/system\/(?:check|reproducible)\.test\.ts$/,
  /\/packages\/cli\/test\/script\.test\.ts$/,
  /\/tools\/test\//,
  /\/packages\/buildkit\/test\//,
];

/** Starts the tests that take long before the others, which go as Vitest has them. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await BaseSequencer.prototype.sort.call(this, files);
    return sorted.toSorted((one, other) => rank(one.moduleId) - rank(other.moduleId));
  }
}

function rank(path: string): number {
  const found = LONG.findIndex((pattern) => pattern.test(path));
  return found === -1 ? LONG.length : found;
}
