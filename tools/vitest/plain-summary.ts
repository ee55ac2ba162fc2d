import type { Reporter, TestModule } from 'vitest/node';

/** Ends a run with the one line that CI counts: `tests: 6 passed, 0 failed`. */
export default class PlainSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state] += 1;
      // A hook that fails leaves its tests skipped; a file that cannot be read has none.
      const suites = [module, ...module.children.allSuites()];
      count.failed += suites.filter((suite) => suite.errors().length > 0).length;
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    process.stdout.write(`tests: ${count.passed} passed, ${count.failed} failed${skipped}\n`);
  }
}
