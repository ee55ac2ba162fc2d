import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, reportStep } from '@lkt/core';
import type { Session } from './session.ts';

/**
 * Returns the directory with the files of a commit, below the store. Fetches them once.
 * @throws NOT_FOUND, GIT_FAILED, IO_FAILED
 */
export async function collectionCheckout(
  session: Session,
  url: string,
  commit: string,
): Promise<string> {
  const parent = join(session.cacheDir, 'collections');
  const target = join(parent, commit);
  if (existsSync(target)) return target;
  const { GitFetcher } = await import('@lkt/git/fetch');
  await mkdir(parent, { recursive: true });
  const temporary = await mkdtemp(join(parent, 'tmp-'));
  try {
    const { variables } = session.environment;
    const id = `collection ${commit}`;
    await reportStep(session.reporter, { id, title: url }, async () => {
      await using fetcher = new GitFetcher(temporary, variables, session.signal);
      const files = join(temporary, 'files');
      const all = { ref: undefined, directory: '', submodules: false, time: 'epoch' } as const;
      await fetcher.fetchFiles({ remote: url, commit, ...all }, files);
      await rename(files, target).catch((error: unknown) => {
        // Another process fetched it meanwhile.
        if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
      });
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return target;
}
