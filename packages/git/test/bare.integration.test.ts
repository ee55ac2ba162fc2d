import { expect, it } from 'vitest';
import { createGit, findTop } from '../src/index.ts';
import { ENV, git, temporary } from './checkout.ts';

it('rejects a bare repository, and suggests a clone with a work tree', async () => {
  await using dir = await temporary();
  git(dir.path, 'init', '--quiet', '--bare');
  await expect(findTop(createGit(ENV), dir.path)).rejects.toMatchObject({
    code: 'GIT_FAILED',
    message: expect.stringContaining('cannot use bare repository'),
    fix: 'run lkt in a clone with a work tree: git clone or git worktree add',
  });
});
