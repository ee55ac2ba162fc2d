import { cpus } from 'node:os';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { remember } from '@lkt/testing/remembered';
import { addDurations } from './durations.ts';
import type { ProvenFile } from './proven-files.ts';
import { type FirstRun, readFirstRun, writeFirstRun } from './repeated-files.ts';

/** Shorter files need no place in the order. */
const MIN_DURATION_MS = 1000;

type Counts = Record<'passed' | 'failed' | 'skipped' | 'pending', number>;

/**
 * Ends a run with the one line that CI reads: `tests: 6 passed, 0 failed`. Remembers which of the
 * files passed. Names those that were skipped because they had passed before, and counts their
 * tests. Says how busy the processors of the machine were: an idle one could run more tests. Last,
 * for logs of which only the end is kept, names the tests that failed, and those that passed only
 * when they were repeated, each with the beginning of its first error. A run that a signal ends
 * names those of the tests that it has run.
 *
 * Vitest repeats a test, but neither a hook nor the machine whose console the tests of a file
 * read. If a few files failed, the summary leaves them to a second run. `tools/test/run` starts it,
 * and it counts the tests of both.
 */
export default class PlainSummary implements Reporter {
  readonly #files: readonly ProvenFile[];
  readonly #root: string;
  readonly #started = new Set<TestModule>();
  readonly #durations = new Map<string, number>();
  readonly #first: FirstRun | undefined = readFirstRun();
  #begin = processorTimes();

  constructor(files: readonly ProvenFile[], root: string) {
    this.#files = files;
    this.#root = root;
  }

  onTestRunStart(): void {
    this.#begin = processorTimes();
    process.once('exit', this.#interrupted);
  }

  onTestModuleStart(module: TestModule): void {
    this.#started.add(module);
  }

  /**
   * Remembers at once, so that a run that is killed need not be repeated. Forgets a file with a
   * test that passed only when it was repeated.
   */
  onTestModuleEnd(module: TestModule): void {
    const path = relative(this.#root, module.moduleId);
    const duration = Math.round(module.diagnostic().duration);
    if (duration >= MIN_DURATION_MS) this.#durations.set(path, duration);
    const file = this.#files.find((one) => one.path === path);
    const { passed, failed, skipped, pending } = countsOf([module]);
    const isFlaky = [...module.children.allTests()].some((one) => one.diagnostic()?.flaky === true);
    if (file !== undefined && passed > 0 && failed + skipped + pending === 0 && !isFlaky)
      for (const key of file.keys) remember(key, String(passed));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[] = []): void {
    process.off('exit', this.#interrupted);
    const repeatPath = process.env['LKT_TEST_REPEAT'];
    if (this.#durations.size > 0) addDurations(this.#durations);
    const repeats =
      repeatPath !== undefined && unhandled.length === 0 ? filesToRepeat(modules) : [];
    const counts = countsOf(modules.filter((module) => !repeats.includes(module)));
    counts.passed += this.#first?.passed ?? 0;
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
    if (repeatPath !== undefined && repeats.length > 0) {
      const errors = repeats.flatMap((module) => this.#failuresOf(module));
      writeFirstRun(repeatPath, { passed: counts.passed, errors });
      for (const error of errors) process.stdout.write(`repeats: ${error}\n`);
      return;
    }
    for (const line of this.#failures(modules)) process.stdout.write(`${line}\n`);
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    process.stdout.write(`tests: ${counts.passed} passed, ${counts.failed} failed${skipped}\n`);
  }

  /** Writes to a pipe are synchronous, so that the lines arrive before the process ends. */
  readonly #interrupted = (): void => {
    const modules = [...this.#started];
    const { passed, failed } = countsOf(modules);
    for (const line of this.#failures(modules)) process.stdout.write(`${line}\n`);
    process.stdout.write(`tests: ${passed} passed, ${failed} failed, interrupted\n`);
  };

  /** Returns a line for each failure: first those of tests that passed when repeated. */
  #failures(modules: readonly TestModule[]): string[] {
    const repeated: string[] = [];
    const failed: string[] = [];
    for (const module of modules) {
      const path = relative(this.#root, module.moduleId);
      const failures = this.#failuresOf(module);
      failed.push(...failures);
      if (failures.length === 0)
        repeated.push(...(this.#first?.errors ?? []).filter((error) => error.startsWith(path)));
      for (const test of module.children.allTests())
        if (test.result().state !== 'failed' && test.diagnostic()?.flaky === true)
          repeated.push(`${path} > ${test.fullName}${beginningOf(test.result().errors)}`);
    }
    return [
      ...repeated.map((line) => `passed only when repeated: ${line}`),
      ...failed.map((line) => `failed: ${line}`),
    ];
  }

  /** Returns a line for each failure outside of tests, then for each failed test. */
  #failuresOf(module: TestModule): string[] {
    const path = relative(this.#root, module.moduleId);
    const tests = [...module.children.allTests('failed')];
    return [
      ...this.#hookErrors(module),
      ...tests.map((test) => `${path} > ${test.fullName}${beginningOf(test.result().errors)}`),
    ];
  }

  /** Returns a line for each failure outside of tests: in a hook, or when the file was loaded. */
  #hookErrors(module: TestModule): string[] {
    const path = relative(this.#root, module.moduleId);
    return [module, ...module.children.allSuites()]
      .filter((suite) => suite.errors().length > 0)
      .map((suite) => {
        const name = suite.type === 'suite' ? ` > ${suite.fullName}` : '';
        return `${path}${name}${beginningOf(suite.errors())}`;
      });
  }
}

/** More files do not fail by chance. */
const MAX_REPEATED = 3;

/** Returns the modules that failed, if they are few and none is a unit test, which has no peer. */
function filesToRepeat(modules: readonly TestModule[]): readonly TestModule[] {
  const failed = modules.filter((module) => module.state() === 'failed');
  const isFew = failed.length <= MAX_REPEATED;
  return isFew && failed.every((module) => module.project.name !== 'unit') ? failed : [];
}

/** Maximum length of an error in the summary, in UTF-16 units. */
const MAX_ERROR = 300;

/** Returns the beginning of the first error in one line. */
function beginningOf(errors: readonly { readonly message: string }[] = []): string {
  const [first] = errors;
  const text = first?.message.trim().replaceAll(/\s*\n\s*/g, ' | ') ?? '';
  const end = text.length > MAX_ERROR ? '…' : '';
  return text === '' ? '' : `: ${text.slice(0, MAX_ERROR)}${end}`;
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
