import { expect, test } from 'vitest';
import { cacheSetting, type Environment, progressSetting } from '../src/session/environment.ts';
import { commandLine } from '../src/flags/global.ts';

function environment(variables: Record<string, string>): Environment {
  return { cwd: '/there', home: '/home/a', variables };
}

test.each([
  ['flag', {}, '/there/flag', '--cache'],
  [undefined, { LKT_CACHE: 'rel', XDG_CACHE_HOME: '/xdg' }, '/there/rel', 'LKT_CACHE'],
  [undefined, { LKT_CACHE: '', XDG_CACHE_HOME: '/xdg' }, '/xdg/lkt', 'XDG_CACHE_HOME'],
  [undefined, { XDG_CACHE_HOME: 'relative' }, '/home/a/.cache/lkt', 'the default'],
])('the store: --cache %s, %j', (flag, variables, value, from) => {
  expect(cacheSetting(flag, environment(variables))).toEqual({ value, from });
});

test.each([
  ['json', {}, true, 'json'],
  [undefined, { LKT_PROGRESS: 'quiet' }, true, 'quiet'],
  [undefined, { LKT_PROGRESS: 'nonsense' }, true, 'tty'],
  ['auto', { LKT_PROGRESS: 'quiet' }, true, 'tty'],
  [undefined, {}, false, 'plain'],
  [undefined, { CI: 'true' }, true, 'plain'],
  [undefined, { TERM: 'dumb' }, true, 'plain'],
  ['tty', { CI: 'true', TERM: 'dumb' }, false, 'tty'],
] as const)('progress: %s, %j, terminal %s', (flag, variables, isTTY, value) => {
  expect(progressSetting(flag, environment(variables), { isTTY }).value).toBe(value);
});

test.each([
  ['build x.yml', 'build x.yml'],
  ['--cache d build x.yml', 'build x.yml --cache d'],
  ['--cache=d -q pkg build x -- y', 'pkg build x --cache=d -q -- y'],
  ['-v 2 run x', 'run x -v 2'],
  ['--help', '--help'],
  ['--help build', '--help build'],
  ['--version', 'version'],
  ['--cache d', '--cache d'],
  ['help pkg build', 'pkg build --help'],
  ['help', '--help'],
])('options before the command: %s', (before, after) => {
  expect(commandLine(before.split(' '))).toEqual(after.split(' '));
});
