import { expect, test } from 'vitest';
import { changeMode } from '../src/copy/file-mode.ts';

test.each<[number | string, number, boolean, number]>([
  [0o4750, 0o644, false, 0o4750],
  ['u=rwX,go=rX', 0o600, false, 0o644],
  ['u=rwX,go=rX', 0o700, false, 0o755],
  ['u=rwX,go=rX', 0o600, true, 0o755],
  ['+x', 0o644, false, 0o755],
  ['a-w', 0o666, false, 0o444],
  ['go=', 0o777, true, 0o700],
  ['u+s,g+s', 0o755, false, 0o6755],
  ['u=rwx', 0o4755, false, 0o755],
  ['+t', 0o777, true, 0o1777],
  ['o=u,g=o', 0o640, false, 0o666],
  ['u-x+w', 0o555, false, 0o655],
])('%s of %s', (change, mode, isDirectory, expected) => {
  expect(changeMode(change, mode, isDirectory).toString(8)).toBe(expected.toString(8));
});
