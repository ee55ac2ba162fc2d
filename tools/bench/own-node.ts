import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Says to the copy where it is. */
const COPY = 'LKT_BENCH_NODE';

/**
 * Goes on in a copy of this Node. Memory that processes share counts in parts for each of them, and a benchmark that runs the same
 * Node as lkt would bear a part of lkt's. To be called before all else.
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
    // It runs, and nobody else needs it.
    rmSync(dirname(copy), { recursive: true });
  }
}
