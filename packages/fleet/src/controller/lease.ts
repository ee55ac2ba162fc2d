import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LktError, undefinedIf } from '@lkt/core';
import { putFile, withLockAt } from '@lkt/oci/shared-files';

/** The right to change the nodes of a fleet, for one controller at a time. */
export interface Lease {
  /** Larger than that of every controller before. */
  readonly generation: number;
  /** Aborted once the lease is lost. */
  readonly signal: AbortSignal;
}

/** Keeps the lease of a fleet. */
export interface LeaseKeeper {
  /**
   * Runs `run` with the lease.
   * @throws LktError LEASE_HELD while another controller has it
   */
  hold<T>(run: (lease: Lease) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Returns the generation of the last lease, for labels that a user sets beside a controller. */
  current(): Promise<number>;
}

/** How long a new controller waits for one that is ending. */
const WAIT_MS = 3000;

/**
 * Returns a lease for the controllers of one machine: a lock file, which dies with its owner, and
 * the generation beside it. Generations grow with the clock too, so that a lost file costs nothing.
 */
export function fileLease(path: string): LeaseKeeper {
  const counter = `${path}.generation`;
  const current = async (): Promise<number> => {
    const text = await readFile(counter, 'utf8').catch(undefinedIf('ENOENT', 'ENOTDIR'));
    const number = Number(text?.trim() ?? '0');
    return Number.isSafeInteger(number) && number >= 0 ? number : 0;
  };
  return {
    current,
    hold: async (run, signal) => {
      try {
        return await withLockAt(
          path,
          async () => {
            const generation = Math.max((await current()) + 1, Math.floor(Date.now() / 1000));
            putFile(join(dirname(path), 'tmp'), counter, `${generation}\n`);
            return run({ generation, signal });
          },
          { signal, timeoutMs: WAIT_MS },
        );
      } catch (error) {
        if (!(error instanceof LktError) || error.code !== 'CACHE_LOCKED') throw error;
        if (!error.message.startsWith(`${path} `)) throw error;
        throw new LktError('LEASE_HELD', 'another controller manages this fleet', {
          cause: error,
          fix: 'stop it, or let it do the work: it reads fleet.yml again when it is started again',
        });
      }
    },
  };
}
