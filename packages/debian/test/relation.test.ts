import { describe, expect, it } from 'vitest';
import { formatClause, satisfies, parseRelations } from '../src/lock/relation.ts';

describe('parseRelations', () => {
  it.each([
    ['libc6', ['libc6']],
    ['libc6 (>= 2.36), libgcc-s1(>=4.2) ,', ['libc6 (>= 2.36)', 'libgcc-s1 (>= 4.2)']],
    ['debconf (>= 0.5) | debconf-2.0', ['debconf (>= 0.5) | debconf-2.0']],
    ['python3:any, libfoo:amd64 (= 1:2-3)', ['python3:any', 'libfoo:amd64 (= 1:2-3)']],
    ['a (< 1), b (> 2)', ['a (<= 1)', 'b (>= 2)']],
    ['a,\n b', ['a', 'b']],
    ['', []],
  ])('reads %j', (field, expected) => {
    expect(parseRelations(field).map(formatClause)).toEqual(expected);
  });

  it.each(['a b', 'a (1)', 'a (>= )', 'a (~ 1)', 'a [amd64]', 'a <!nocheck>', 'a | ', '(>= 1)'])(
    'rejects %j',
    (field) => {
      expect(() => parseRelations(field)).toThrow(
        expect.objectContaining({ code: 'ARCHIVE_INVALID' }),
      );
    },
  );
});

describe('satisfies', () => {
  const candidate = {
    name: 'exim4',
    version: '4.98-1',
    architecture: 'amd64',
    provides: [{ name: 'mta' }, { name: 'mta-api', relation: '=' as const, version: '3' }],
  };
  it.each([
    ['exim4', true],
    ['exim4 (>= 4.98)', true],
    ['exim4 (>= 4.99)', false],
    ['exim4:any', true],
    ['exim4:native', true],
    ['exim4:amd64', true],
    ['exim4:arm64', false],
    ['mta', true],
    ['mta (>= 1)', false],
    ['mta-api (>= 2)', true],
    ['mta-api (>= 4)', false],
    ['postfix', false],
  ])('%s: %s', (text, expected) => {
    const wanted = parseRelations(text)[0]?.[0] ?? { name: '' };
    expect(satisfies(candidate, wanted)).toBe(expected);
  });
});
