import { globSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { COMPARED, ELSEWHERE, rolesOf } from './roles.ts';

test('compares every role of every package with /proc, in a boot if QEMU can', () => {
  const paths = globSync('*/{,*/}roles.json', { cwd: join(import.meta.dirname, '../../pkg') });
  const declared = paths
    .map((path) => path.split('/', 1)[0] ?? '')
    .flatMap((name) => Object.keys(rolesOf(name)).map((role) => `${name} ${role}`));
  const compared = [...Object.values(COMPARED), ELSEWHERE].flatMap((boot) =>
    Object.entries(boot).flatMap(([name, roles]) => roles.map((role) => `${name} ${role}`)),
  );
  expect([...new Set(compared)].toSorted()).toEqual(declared.toSorted());
});
