import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';
import LongestFirst from './tools/vitest/longest-first.ts';
import LongRunning from './tools/vitest/long-running.ts';
import PlainSummary from './tools/vitest/plain-summary.ts';
import { provenFiles } from './tools/vitest/proven-files.ts';

// Only a run of everything leaves out what is proven for the same inputs: whoever names a file wants to see it.
const files = process.env['LKT_TEST_ALL'] === 'yes' ? provenFiles(import.meta.dirname) : [];
const isProven = files.filter(({ passed }) => passed !== undefined).map(({ path }) => path);

export default defineConfig({
  test: {
    reporters: [
      'default',
      new LongRunning(import.meta.dirname),
      new PlainSummary(files, import.meta.dirname),
    ],
    disableConsoleIntercept: true,
    // For what never ends. No test is about how long something takes.
    testTimeout: 180_000,
    // A hook may boot a machine, or remove a store of gigabytes.
    hookTimeout: 300_000,
    // Vitest would leave one processor to itself. A test that boots a machine has work for one only, and waits much.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
    globalSetup: './packages/builder/test/compiled-code.ts',
    include: ['**/test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...isProven],
    restoreMocks: true,
    unstubEnvs: true,
  },
});
