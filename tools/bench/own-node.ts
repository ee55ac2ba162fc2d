import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Tells the copy its path. */
const COPY = 'LKT_BENCH_NODE';

/**
 * Continues in a copy of this Node. Shared memory is split among the processes that map a file: a
 * benchmark on lkt's Node binary would carry part of lkt's memory. Call it first.
 */
export function useOwnNode(): void {
  const { argv, execArgv, env } = process;
  const copy = env[COPY];
  if (copy === undefined) {
    const node = join(mkdtempSync(join(tmpdir(), 'lkt-bench-node-')), 'node');
    copyFileSync(process.execPath, node);
    process.execve?.(node, [node, ...execArgv, ...argv.slice(1)], { ...env, [COPY]: node });
  } else {
    delete env[COPY];
    // A running program needs no name.
    rmSync(dirname(copy), { recursive: true });
  }
}
