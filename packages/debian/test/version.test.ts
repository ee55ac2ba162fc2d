import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, isVersion, matchesRelation } from '../src/lock/version.ts';

/** Versions in ascending order: the rules of deb-version(7), one by one. */
const ASCENDING: readonly (readonly string[])[] = [
  ['~~', '~~a', '~', '', 'a'],
  ['1.0~beta1~svn1245', '1.0~beta1', '1.0', '1.0-1', '1.0-1.1', '1.0-2'],
  ['9', '10', '10a', '10a1', '10+', '10.1', '11'],
  ['1.2.3', '1.2.3+b1', '1.2.10'],
  ['2.0', '1:0.1', '2:0'],
  ['5.2~rc1-1', '5.2-1~exp1', '5.2-1', '5.2-1+deb13u1', '5.2-1+deb13u10'],
  ['1-2', '1-1-1', '1-1-2'],
  ['20240101000000', '20240101000001', '99999999999999999999', '100000000000000000000'],
];

const EQUAL = [
  ['1.0', '0:1.0'],
  ['1.0', '1.0-0'],
  ['1.00', '1.0'],
  ['1.0', '1.'],
  ['001', '1'],
];

describe('compareVersions', () => {
  it.each(ASCENDING.map((list) => [list]))('orders %j', (list) => {
    for (const [i, a] of list.entries())
      for (const [j, b] of list.entries())
        expect([a, b, Math.sign(compareVersions(a, b))]).toEqual([a, b, Math.sign(i - j)]);
  });

  it.each(EQUAL)('%s equals %s', (a, b) => {
    expect(compareVersions(a, b)).toBe(0);
  });

  const version = fc
    .tuple(
      fc.option(fc.nat(3), { nil: undefined }),
      fc.stringMatching(/^[0-9][0-9a-c.+~-]{0,8}$/),
      fc.option(fc.stringMatching(/^[0-9ab.+~]{1,4}$/), { nil: undefined }),
    )
    .map(([epoch, upstream, revision]) =>
      [
        epoch === undefined ? '' : `${epoch}:`,
        upstream,
        revision === undefined ? '' : `-${revision}`,
      ].join(''),
    )
    .filter((text) => !text.endsWith('-'));

  it('is a total order', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (a, b, c) => {
        expect(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a))).toBe(0);
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0);
      }),
    );
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        const [x = '', y = '', z = ''] = [a, b, c].toSorted(compareVersions);
        expect(compareVersions(x, y)).toBeLessThanOrEqual(0);
        expect(compareVersions(y, z)).toBeLessThanOrEqual(0);
        expect(compareVersions(x, z)).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('agrees with dpkg', () => {
    const pairs = fc.sample(fc.tuple(version, version), 250);
    const near = pairs.map(([a]) => [a, `${a}~`] as const);
    const all = [
      ...pairs,
      ...near.slice(0, 50),
      ...EQUAL.map(([a, b]) => [a ?? '', b ?? ''] as const),
    ];
    const script = `while read -r a b; do
      if dpkg --compare-versions "$a" lt "$b"; then echo -1;
      elif dpkg --compare-versions "$a" eq "$b"; then echo 0; else echo 1; fi; done`;
    const input = all.map(([a, b]) => `${a} ${b}\n`).join('');
    const said = execFileSync('sh', ['-c', script], { input, stdio: ['pipe', 'pipe', 'ignore'] });
    const expected = said.toString().trim().split('\n').map(Number);
    expect(all.map(([a, b]) => [a, b, Math.sign(compareVersions(a, b))])).toEqual(
      all.map(([a, b], index) => [a, b, expected[index]]),
    );
  });
});

describe('matchesRelation', () => {
  it.each([
    ['<<', [true, false, false]],
    ['<=', [true, true, false]],
    ['=', [false, true, false]],
    ['>=', [false, true, true]],
    ['>>', [false, false, true]],
  ] as const)('%s', (relation, expected) => {
    expect(['1', '2', '3'].map((version) => matchesRelation(version, relation, '2'))).toEqual(
      expected,
    );
  });
});

it('recognises versions', () => {
  const texts = ['1', '1:2-3', '2.41-12+deb13u5', '', '-1', '1 2', 'a:1', '1;2'];
  expect(texts.map(isVersion)).toEqual([true, true, true, false, false, false, true, false]);
});
