import { LktError } from '@lkt/core';
import type { Environment } from '../command.ts';
import { BareRepository, PROTOCOLS } from './bare-repository.ts';

/**
 * Returns the commit of a branch or tag of a remote repository.
 * @param directory without a repository; nothing is written there
 * @param ref a tag or branch, or `HEAD` for the default branch
 * @throws NOT_FOUND, GIT_FAILED
 */
export async function resolveRef(
  directory: string,
  remote: string,
  ref: string,
  { env, signal }: { readonly env: Environment; readonly signal?: AbortSignal },
): Promise<string> {
  const repository = new BareRepository(directory, env, { protocols: PROTOCOLS, signal });
  const [commit = ''] = await commitsOf(repository, remote, ref);
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(commit)) return commit;
  throw new LktError('GIT_FAILED', `${remote} answers with an invalid commit for ${ref}`);
}

/**
 * Returns the commits of a tag and a branch of a name, the tag's first.
 * @throws NOT_FOUND, GIT_FAILED
 */
export async function commitsOf(
  repository: BareRepository,
  remote: string,
  ref: string,
): Promise<readonly string[]> {
  const isWhole = ref === 'HEAD' || ref.startsWith('refs/');
  const names = isWhole ? [ref] : [`refs/tags/${ref}`, `refs/heads/${ref}`];
  const wanted = names.flatMap((name) => [name, `${name}^{}`]);
  const answer = await repository.run(['ls-remote', '--quiet', '--', remote, ...wanted]);
  const found = new Map<string, string>();
  for (const line of answer.toString('latin1').split('\n')) {
    const [id = '', name = ''] = line.split('\t');
    if (name !== '') found.set(name, id);
  }
  const commits = names.flatMap((name) => {
    // For an annotated tag, the commit it points to.
    const id = found.get(`${name}^{}`) ?? found.get(name);
    return id === undefined ? [] : [id];
  });
  if (commits.length > 0) return commits;
  throw new LktError('NOT_FOUND', `${remote} has no branch or tag ${ref}`, {
    fix: 'list them with: git ls-remote',
  });
}
