import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { putFile, withLockAt } from '@lkt/oci/shared-files';
import { type CallOptions, ProviderError } from '../provider.ts';
import { NEWER_LEASE } from './fence.ts';

/**
 * Runs a change alone among all controllers of a state directory, unless a newer one has been seen.
 * @param timeoutMs maximum wait for the change of another controller, which may be stopped
 * @throws ProviderError `fenced`; `unavailable` after `timeoutMs`
 */
export async function withGeneration(
  dir: string,
  { generation, signal }: CallOptions,
  run: () => Promise<void>,
  timeoutMs = 60_000,
): Promise<void> {
  await withLockAt(
    join(dir, 'lock'),
    async () => {
      const path = join(dir, 'generation');
      const seen = Number(await readFile(path, 'utf8').catch(() => '0'));
      if (generation < seen)
        throw new ProviderError(
          'fenced',
          `generation ${generation} is over: a controller of generation ${seen} has taken over`,
          { fix: NEWER_LEASE },
        );
      if (generation > seen) putFile(join(dir, 'tmp'), path, `${generation}\n`);
      await run();
    },
    { signal, timeoutMs },
  ).catch((cause: unknown) => {
    if (!(cause instanceof LktError) || cause.code !== 'CACHE_LOCKED') throw cause;
    throw new ProviderError('unavailable', `another controller is changing ${dir}`, {
      cause,
      fix: 'wait for its change to end, or end it if it is stopped',
    });
  });
}
