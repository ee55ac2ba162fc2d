import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createGit, findTop } from '../src/index.ts';
import { isOutside } from '../src/work-tree.ts';
import { ENV, git, temporary } from './checkout.ts';

it('finds no repository without asking git where none can be', async () => {
  await using dir = await temporary();
  const config = join(dir.path, 'config');
  writeFileSync(config, '[');
  const env = { ...ENV, GIT_CONFIG_GLOBAL: config };
  expect(await findTop(createGit(env), dir.path)).toBe(undefined);
});

const ABOVE: readonly (readonly [string, (dir: string) => unknown])[] = [
  ['nothing', () => undefined],
  ['a directory of that name', (dir) => mkdirSync(join(dir, '.git'))],
  ['a file of that name', (dir) => writeFileSync(join(dir, '.git'), 'gitdir: nowhere\n')],
  ['a dangling link of that name', (dir) => symlinkSync('nowhere', join(dir, '.git'))],
  ['a file named HEAD', (dir) => writeFileSync(join(dir, 'HEAD'), 'ref: refs/heads/main\n')],
  ['a repository', (dir) => git(dir, 'init', '--quiet')],
  ['a bare repository', (dir) => git(dir, 'init', '--quiet', '--bare')],
  ['a link to a repository', (dir) => link(dir)],
];

it.each(ABOVE)('is sure only if git is, with %s above or in the directory', async (name, make) => {
  for (const where of ['.', 'above', 'above/below']) {
    await using top = await temporary();
    const dir = join(top.path, 'above/below');
    mkdirSync(dir, { recursive: true });
    make(join(top.path, where));
    expect(isOutside(dir)).toBe(name === 'nothing');
    if (isOutside(dir)) expect(() => git(dir, 'rev-parse')).toThrow('not a git repository');
  }
});

function link(dir: string): void {
  const other = join(dir, 'other');
  mkdirSync(other);
  git(other, 'init', '--quiet');
  symlinkSync('other/.git', join(dir, '.git'));
}
