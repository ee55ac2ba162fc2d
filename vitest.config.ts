import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import LongestFirst from './tools/vitest/longest-first.ts';
import LongRunning from './tools/vitest/long-running.ts';
import PlainSummary from './tools/vitest/plain-summary.ts';
import { provenFiles } from './tools/vitest/proven-files.ts';

// Only a run of all tests skips files that passed before with the same inputs.
const files = process.env['LKT_TEST_ALL'] === 'yes' ? provenFiles(import.meta.dirname) : [];
const proven = files.filter(({ passed }) => passed !== undefined).map(({ path }) => path);

// Each worker of the builder would compile its sources anew, as each test has an empty store.
const globalSetup = './packages/builder/test/compiled-code.ts';

// Daemons of others, networks and machines also fail when nothing is wrong with lkt, once in some
// thousand tests. The summary names each test that passed only when it was repeated.
const repeated = { retry: 1 };

// `npm test` runs the tiers. Vectors and kernel run only when `--project` names them.
const tiers = [
  suite('unit', {
    include: ['**/test/**/*.test.ts'],
    exclude: ['**/*.{integration,system}.test.ts'],
    // Files share the modules of a worker, which takes half of the time.
    isolate: false,
  }),
  suite('integration', {
    include: ['**/test/**/*.integration.test.ts'],
    // It imports JSON without the attribute that Node requires.
    server: { deps: { inline: [/@actions\/workflow-parser/] } },
    globalSetup,
    ...repeated,
  }),
  suite('system', { include: ['**/test/**/*.system.test.ts'], globalSetup, ...repeated }),
];
/** Reports whether the command line names a project with `--project`. */
const isNamed = (name: string): boolean =>
  new RegExp(`--project[= ]${name}\\b`).test(process.argv.join(' '));
const vectors = suite('vectors', {
  include: ['**/test/**/*.vectors.ts'],
  env: { LKT_VECTORS: resolve(process.env['LKT_VECTORS'] ?? '../shared/vectors') },
});
const kernel = suite('kernel', { include: ['**/test/**/*.kernel.ts'] });
const others = [...(isNamed('vectors') ? [vectors] : []), ...(isNamed('kernel') ? [kernel] : [])];

export default defineConfig({
  test: {
    reporters: [
      'default',
      new LongRunning(import.meta.dirname),
      new PlainSummary(files, import.meta.dirname),
    ],
    // One more than processors: tests of machines, daemons and controllers also wait.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: LongestFirst },
    projects: [...tiers, ...others],
  },
});

function suite(
  name: string,
  { exclude = [], ...options }: TestProjectInlineConfiguration['test'] = {},
): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      exclude: [...configDefaults.exclude, ...exclude, ...proven],
      disableConsoleIntercept: true,
      // Catches tests that hang. No test asserts how long something takes.
      testTimeout: 180_000,
      expect: { poll: { timeout: 60_000 } },
      // A hook may boot a machine, or remove a store of gigabytes.
      hookTimeout: 300_000,
      restoreMocks: true,
      unstubEnvs: true,
      ...options,
    },
  };
}
