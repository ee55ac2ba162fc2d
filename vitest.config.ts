import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import LongestFirst from './tools/vitest/longest-first.ts';

export default defineConfig({
  test: {
    reporters: ['default', './tools/vitest/plain-summary.ts'],
    disableConsoleIntercept: true,
    // For what never ends. No test is about how long something takes.
    testTimeout: 180_000,
    // A hook may boot a machine, or remove a store of gigabytes.
    hookTimeout: 300_000,
    // Vitest would leave one processor to itself. A test that boots a machine has work for one only, and waits much.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
    include: ['**/test/**/*.test.ts'],
    restoreMocks: true,
    unstubEnvs: true,
  },
});
