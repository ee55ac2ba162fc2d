import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError, reportStep } from '@lkt/core';
import { COLLECTION_DIRECTORY } from './cache-areas.ts';
import type { Session } from './session.ts';

/**
 * Returns the directory with the files of a commit, below the store. Fetches them once; files that
 * were changed since are fetched again.
 * @throws NOT_FOUND, GIT_FAILED, IO_FAILED
 */
export async function collectionCheckout(
  session: Session,
  url: string,
  commit: string,
): Promise<string> {
  const parent = join(session.cacheDir, COLLECTION_DIRECTORY);
  const target = join(parent, commit);
  if (existsSync(target)) {
    if (await isWhole(session, target)) {
      // The store removes what was not used for the longest time.
      const now = new Date();
      await utimes(target, now, now).catch(() => undefined);
      return join(target, 'files');
    }
    await rm(target, { recursive: true, force: true });
  }
  const { GitFetcher } = await import('@lkt/git/fetch');
  await session.openStore();
  await mkdir(parent, { recursive: true });
  const temporary = await mkdtemp(join(parent, 'tmp-'));
  try {
    const { variables } = session.environment;
    const id = `collection ${commit}`;
    await reportStep(session.reporter, { id, title: url }, async () => {
      await using fetcher = new GitFetcher(temporary, variables, session.signal);
      const whole = join(temporary, 'whole');
      const files = join(whole, 'files');
      await mkdir(whole);
      const all = { ref: undefined, directory: '', submodules: false, time: 'epoch' } as const;
      await fetcher.fetchFiles({ remote: url, commit, ...all }, files);
      // The seal covers the path where the file will be.
      const seal = session.sealed.seal(join(target, 'tree'), await treeOf(files));
      await writeFile(join(whole, 'tree'), seal);
      await rename(whole, target).catch((error: unknown) => {
        // Another process fetched it meanwhile.
        if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
      });
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return join(target, 'files');
}

/** Reports whether the files are those that this user's lkt wrote. */
async function isWhole({ sealed }: Session, target: string): Promise<boolean> {
  try {
    return sealed.read(join(target, 'tree')) === (await treeOf(join(target, 'files')));
  } catch (error) {
    // Files of other kinds, or unreadable ones.
    if (error instanceof LktError) return false;
    throw error;
  }
}

async function treeOf(dir: string): Promise<string> {
  const { readPlainDirectory } = await import('@lkt/git');
  return readPlainDirectory(dir, [dir]).headTree('') ?? 'empty';
}
