import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LktError, undefinedIf } from '@lkt/core';
import { putFile, withLockAt } from '@lkt/oci/shared-files';
import { leaseHeld, type LeaseKeeper, nextGeneration, parseGeneration, WAIT_MS } from './lease.ts';

/** Longer than any controller lives. */
const STANDBY_MS = 2 ** 31 - 1;

/**
 * Returns a lease for the controllers of one machine: a lock file, which dies with its owner, and
 * the generation beside it.
 */
export function fileLease(path: string): LeaseKeeper {
  const counter = `${path}.generation`;
  const current = async (): Promise<number> =>
    parseGeneration(await readFile(counter, 'utf8').catch(undefinedIf('ENOENT', 'ENOTDIR')));
  return {
    current,
    hold: async (run, { signal, isStandby = false }) => {
      try {
        return await withLockAt(
          path,
          async () => {
            const generation = nextGeneration(await current());
            putFile(join(dirname(path), 'tmp'), counter, `${generation}\n`);
            return run({ generation, signal, requireHeld: () => undefined });
          },
          { signal, timeoutMs: isStandby ? STANDBY_MS : WAIT_MS },
        );
      } catch (error) {
        if (!(error instanceof LktError) || error.code !== 'CACHE_LOCKED') throw error;
        if (!error.message.startsWith(`${path} `)) throw error;
        throw leaseHeld(error);
      }
    },
  };
}
