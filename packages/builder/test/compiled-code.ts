import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** The directory of Node's compile cache of the sources. */
export const COMPILED: string = join(
  import.meta.dirname,
  '../../../node_modules/.cache/lkt-tests/compiled',
);

/**
 * Compiles the code of a worker once for all tests. Each test has an empty store, and a worker
 * would otherwise spend a second of processor time. Vitest calls this before all tests.
 */
export function setup(): void {
  const worker = join(import.meta.dirname, '../src/worker/run-jobs.ts');
  execFileSync(
    process.execPath,
    ['--no-warnings', '--eval', 'await import(process.argv[1])', worker],
    {
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    },
  );
}
