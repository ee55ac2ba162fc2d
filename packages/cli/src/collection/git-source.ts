import { join } from 'node:path';
import { LktError, writeFileAtomic } from '@lkt/core';
import { applyEdits, WORKSPACE_FILE } from '@lkt/pkg';
import { collectionCheckout } from '../session/collection-checkout.ts';
import type { Session } from '../session/session.ts';
import type { Named, NewSource } from './new-source.ts';

/** Returns another commit of a repository: that of its default branch, or the wanted one. */
export async function gitSource(
  session: Session,
  { collection, root, to }: Named,
  { url, commit }: { readonly url: string; readonly commit: string },
): Promise<NewSource> {
  const { resolveRef } = await import('@lkt/git/fetch');
  const isCommit = to !== undefined && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(to);
  const environment = { env: session.environment.variables, signal: session.signal };
  const found = isCommit ? to : await resolveRef(session.cacheDir, url, to ?? 'HEAD', environment);
  const file = join(root, WORKSPACE_FILE);
  return {
    from: commit,
    to: found,
    fetch: async () => collectionCheckout(session, url, found),
    files: [file],
    apply: async () => {
      const { at } = collection.spec;
      const [start, end] = at.range ?? [0, 0];
      const written = `${url}@${commit}`;
      const offset = at.file.text.indexOf(written, start);
      if (offset === -1 || offset > end)
        throw new LktError('CONFIG_INVALID', `${WORKSPACE_FILE} does not spell out ${written}`, {
          fix: `write it as git:${url}@${found}`,
        });
      const edit = { offset, length: written.length, replacement: `${url}@${found}` };
      await writeFileAtomic(file, applyEdits(at.file.text, [edit]));
    },
    undo: async () => undefined,
  };
}
