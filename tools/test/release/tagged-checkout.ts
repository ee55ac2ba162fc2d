import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

const SOURCES = [
  '.gitignore',
  'LICENSE',
  'examples',
  'kernel',
  'package.json',
  'package-lock.json',
  'packages',
  'pkg',
  'projects',
  'tools',
  'tsconfig.base.json',
];

/** Copies this checkout, with its uncommitted files, as a commit with the tag of a version. */
export function copyTagged(directory: string, version: string): void {
  for (const path of SOURCES)
    cpSync(join(root, path), join(directory, path), { recursive: true, verbatimSymlinks: true });
  mkdirSync(join(directory, 'dist'));
  const modules = join(directory, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '@lkt' && name !== '.cache')
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
  cpSync(join(root, 'node_modules/@lkt'), join(modules, '@lkt'), {
    recursive: true,
    verbatimSymlinks: true,
  });
  const git = (...words: readonly string[]): unknown =>
    execFileSync('git', ['-c', 'user.name=A', '-c', 'user.email=a@example.com', ...words], {
      cwd: directory,
      env: { PATH: process.env['PATH'], GIT_CONFIG_GLOBAL: '/dev/null' },
    });
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'all');
  git('tag', `v${version}`);
}
