import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { putFile, withLockAt } from '@lkt/oci/shared-files';
import { type CallOptions, ProviderError } from '../provider.ts';
import { NEWER_LEASE } from './fence.ts';

/**
 * Runs a change alone among all controllers of a state directory, unless a newer one has been seen.
 * @throws ProviderError `fenced`
 */
export async function withGeneration(
  dir: string,
  { generation, signal }: CallOptions,
  run: () => Promise<void>,
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
    { signal, timeoutMs: 60_000 },
  );
}
