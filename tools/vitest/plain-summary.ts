import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { remember } from '../test/memory.ts';
import type { ProvenFile } from './proven-files.ts';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  pending: number;
}

/**
 * Ends a run with the one line that CI counts: `tests: 6 passed, 0 failed`. Remembers the files that take minutes and have
 * passed; those that are not run for it are named, and their tests counted.
 */
export default class PlainSummary implements Reporter {
  readonly #files: readonly ProvenFile[];
  readonly #root: string;

  constructor(files: readonly ProvenFile[] = [], root = '') {
    this.#files = files;
    this.#root = root;
  }

  /** At once, so that a run that is cut off need not be made whole again. */
  onTestModuleEnd(module: TestModule): void {
    this.#remember(module, countsOf(module));
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const count: Counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      const own = countsOf(module);
      for (const state of ['passed', 'failed', 'skipped', 'pending'] as const)
        count[state] += own[state];
    }
    const known = this.#files.filter(({ passed }) => passed !== undefined);
    for (const { path, passed = 0 } of known) {
      process.stdout.write(`proven before for the same inputs: ${path} (${passed} tests)\n`);
      count.passed += passed;
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    process.stdout.write(`tests: ${count.passed} passed, ${count.failed} failed${skipped}\n`);
  }

  #remember(module: TestModule, { passed, failed, skipped, pending }: Counts): void {
    const path = relative(this.#root, module.moduleId);
    const file = this.#files.find((one) => one.path === path);
    if (file !== undefined && passed > 0 && failed + skipped + pending === 0)
      remember(file.key, String(passed));
  }
}

function countsOf(module: TestModule): Counts {
  const count: Counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
  for (const test of module.children.allTests()) count[test.result().state] += 1;
  // A hook that fails leaves its tests skipped; a file that cannot be read has none.
  const suites = [module, ...module.children.allSuites()];
  count.failed += suites.filter((suite) => suite.errors().length > 0).length;
  return count;
}
