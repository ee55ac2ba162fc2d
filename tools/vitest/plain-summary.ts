import { cpus } from 'node:os';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { remember } from '@lkt/testing/remembered';
import type { ProvenFile } from './proven-files.ts';

type Counts = Record<'passed' | 'failed' | 'skipped' | 'pending', number>;

/**
 * Ends a run with the one line that CI reads: `tests: 6 passed, 0 failed`. Remembers which of the
 * files passed. Names those that were skipped because they had passed before, and counts their
 * tests. Names the tests that passed only when they were repeated, with the first error. Says how
 * busy the processors of the machine were: an idle one could run more tests.
 */
export default class PlainSummary implements Reporter {
  readonly #files: readonly ProvenFile[];
  readonly #root: string;
  #begin = processorTimes();

  constructor(files: readonly ProvenFile[], root: string) {
    this.#files = files;
    this.#root = root;
  }

  onTestRunStart(): void {
    this.#begin = processorTimes();
  }

  /**
   * Remembers at once, so that a run that is killed need not be repeated. Forgets a file with a
   * test that passed only when it was repeated.
   */
  onTestModuleEnd(module: TestModule): void {
    const path = relative(this.#root, module.moduleId);
    const file = this.#files.find((one) => one.path === path);
    const { passed, failed, skipped, pending } = countsOf([module]);
    const isFlaky = [...module.children.allTests()].some((one) => one.diagnostic()?.flaky === true);
    if (file !== undefined && passed > 0 && failed + skipped + pending === 0 && !isFlaky)
      remember(file.key, String(passed));
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = countsOf(modules);
    for (const test of modules.flatMap(({ children }) => [...children.allTests()])) {
      if (test.diagnostic()?.flaky !== true) continue;
      const path = relative(this.#root, test.module.moduleId);
      const error = test.result().errors?.[0]?.message ?? '';
      process.stdout.write(`passed only when repeated: ${path} > ${test.fullName}: ${error}\n`);
    }
    const before = this.#files.filter(({ passed }) => passed !== undefined);
    for (const { path, passed = 0 } of before) {
      process.stdout.write(`passed before with the same inputs: ${path} (${passed} tests)\n`);
      counts.passed += passed;
    }
    if (before.length > 0)
      process.stdout.write(
        `${before.length} files passed before; npm test -- --all runs them again\n`,
      );
    const { busy, all } = processorTimes();
    const share = (busy - this.#begin.busy) / (all - this.#begin.all);
    process.stdout.write(`processors: ${Math.round(share * 100)}% busy\n`);
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    process.stdout.write(`tests: ${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
  }
}

/** Returns the sums of the times of all processors since the machine started. */
function processorTimes(): { readonly busy: number; readonly all: number } {
  const times = cpus().flatMap((one) => Object.entries(one.times));
  const sum = (items: typeof times): number => items.reduce((total, [, time]) => total + time, 0);
  return { busy: sum(times.filter(([name]) => name !== 'idle')), all: sum(times) };
}

/** A suite with an error counts as a failed test: a failed hook only skips its tests. */
function countsOf(modules: readonly TestModule[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
  for (const module of modules) {
    for (const test of module.children.allTests()) counts[test.result().state] += 1;
    for (const suite of [module, ...module.children.allSuites()])
      if (suite.errors().length > 0) counts.failed += 1;
  }
  return counts;
}
