import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

/** Where Node keeps what it has compiled of the sources. */
export const COMPILED: string = join(root, 'node_modules/.cache/lkt-tests/compiled');

/**
 * Compiles what a worker of the builder loads, once for all tests: Node keeps what it compiles in the store, and each test has
 * an empty one, so each worker would spend a second of processor time on it. Called by Vitest before any test.
 */
export function setup(): void {
  const worker = join(root, 'packages/builder/src/worker/run-jobs.ts');
  execFileSync(
    process.execPath,
    ['--no-warnings', '--eval', 'await import(process.argv[1])', worker],
    {
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    },
  );
}
