import { expect, test } from 'vitest';
import { allRoles, COMPARED } from './roles.ts';

test('compares every role of every package with /proc in a boot', () => {
  const declared = Object.entries(allRoles()).flatMap(([name, roles]) =>
    Object.keys(roles).map((role) => `${name} ${role}`),
  );
  const compared = Object.values(COMPARED).flatMap((boot) =>
    Object.entries(boot).flatMap(([name, roles]) => roles.map((role) => `${name} ${role}`)),
  );
  expect([...new Set(compared)].toSorted()).toEqual(declared.toSorted());
});
