import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { branchOf } from '../src/alpine-branches.ts';
import { compareApkVersions } from '../src/apk-version.ts';
import { ecosystemOf } from '../src/ecosystems.ts';
import { compareKernelVersions, upstreamKernelVersion } from '../src/kernel-version.ts';

type Compare = (a: string, b: string) => number | undefined;

/** Numbers of versions, few of them, so that many are equal, and some with leading zeros. */
const number = fc.oneof(
  fc.constantFrom('0', '00', '01', '010', '1', '10', '2'),
  fc.nat().map(String),
);

const apk = fc
  .record({
    numbers: fc.array(number, { minLength: 1, maxLength: 4 }),
    letter: fc.constantFrom('', 'a', 'b'),
    suffixes: fc.array(
      fc
        .tuple(
          fc.constantFrom('alpha', 'beta', 'pre', 'rc', 'cvs', 'svn', 'git', 'hg', 'p'),
          fc.constantFrom('', '0', '1', '12'),
        )
        .map(([name, count]) => `_${name}${count}`),
      { maxLength: 2 },
    ),
    hash: fc.constantFrom('', '~0', '~0a', '~f00'),
    revision: fc.oneof(
      fc.constant(''),
      number.map((text) => `-r${text}`),
    ),
  })
  .map(
    ({ numbers, letter, suffixes, hash, revision }) =>
      `${numbers.join('.')}${letter}${suffixes.join('')}${hash}${revision}`,
  );

const kernel = fc
  .record({
    prefix: fc.constantFrom('', 'v'),
    numbers: fc.array(number, { minLength: 1, maxLength: 4 }),
    candidate: fc.oneof(
      fc.constant(''),
      number.map((text) => `-rc${text}`),
    ),
  })
  .map(({ prefix, numbers, candidate }) => `${prefix}${numbers.join('.')}${candidate}`);

describe.each([
  ['compareApkVersions', compareApkVersions, apk],
  ['compareKernelVersions', compareKernelVersions, kernel],
] as const)('%s', (_, compare: Compare, version) => {
  const order = (a: string, b: string): number => Math.sign(compare(a, b) ?? Number.NaN);

  test('orders every pair of versions, and each pair the same both ways', () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(order(a, a)).toBe(0);
        expect(order(a, b) + order(b, a)).toBe(0);
      }),
    );
  });

  test('is transitive', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        const [first = '', second = '', third = ''] = [a, b, c].toSorted(order);
        expect(order(first, second)).toBeLessThanOrEqual(0);
        expect(order(second, third)).toBeLessThanOrEqual(0);
        expect(order(first, third)).toBeLessThanOrEqual(0);
        if (order(a, b) === 0) expect(order(a, c)).toBe(order(b, c));
      }),
    );
  });

  test('returns a number for any two texts, or undefined', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), version), version, (a, b) => {
        const result = compare(a, b);
        expect(result === undefined || Number.isInteger(result)).toBe(true);
      }),
    );
  });
});

describe('compareApkVersions', () => {
  // Each is older than the next.
  test.each([
    ['0.12.3', '2.2.39-r1'],
    ['1.2', '1.2.1'],
    ['1.9', '1.10'],
    ['1.36.1-r15', '1.36.1-r16'],
    ['3.1.4', '3.1.4-r0'],
    ['1.1.1q-r0', '1.1.1w-r0'],
    ['1.1.1', '1.1.1a'],
    ['2.3.0b-r1', '2.3.0b-r4'],
    ['0.1.0_alpha', '0.1.0_alpha2'],
    [
      '1.0_alpha',
      '1.0_beta',
      '1.0_pre',
      '1.0_rc',
      '1.0',
      '1.0_cvs',
      '1.0_svn',
      '1.0_git',
      '1.0_hg',
      '1.0_p',
    ],
    ['1.1_rc1-r5', '1.1-r0'],
    ['3.1_p16', '3.1_p17'],
    ['1.0_rc1_alpha1', '1.0_rc1', '1.0_rc1_p1'],
    // A number with a leading zero is a fraction, except the first one.
    ['1.06-r6', '006'],
    ['1.01', '1.1'],
    ['1.010', '1.02', '1.1'],
    ['2.01.01', '2.1'],
    ['1.0', '1.0~0a', '1.0~0b', '1.0~0b-r1'],
    ['20050718-r1', '20050718-r2'],
    ['9'.repeat(30), `1${'0'.repeat(30)}`],
  ])('%s', (...versions) => {
    for (const [index, version] of versions.entries())
      for (const later of versions.slice(index + 1)) {
        expect(compareApkVersions(version, later), `${version} ${later}`).toBeLessThan(0);
        expect(compareApkVersions(later, version)).toBeGreaterThan(0);
      }
  });

  test.each([
    '',
    '1.',
    '.1',
    '1..2',
    '1.0bc',
    '1.2a.3',
    '1.0_foo',
    '1.0-1',
    '1.0-r',
    '1.0~',
    '1.0~X',
    'v1.0',
    '1.0-r1_p1',
    '1.0 ',
    '1.0\n',
  ])('does not know %j', (version) => expect(compareApkVersions(version, '1.0')).toBeUndefined());
});

describe('compareKernelVersions', () => {
  test.each([
    ['6.6.64', '6.12', '6.12.1', '6.12.5', '6.13-rc1', '6.13-rc2', '6.13-rc10', '6.13', '6.13.1'],
    ['2.6.32', '2.6.32.61', '2.6.33-rc1', '2.6.33', '3.0-rc1', '3.0'],
    ['v5.4', 'v5.10.3', '5.10.20'],
  ])('%s', (...versions) => {
    for (const [index, version] of versions.entries())
      for (const later of versions.slice(index + 1))
        expect(compareKernelVersions(version, later), `${version} ${later}`).toBeLessThan(0);
  });

  test.each([
    ['6.12', '6.12.0'],
    ['6.13-rc7', '6.13.0-rc7'],
    ['v6.12.5', '6.12.5'],
  ])('%s is %s', (a, b) => expect(compareKernelVersions(a, b)).toBe(0));

  test.each(['', '6.', '6.12.x', '6.12.5-lts', '6.12-rc', '1.2.3.4.5', '6.12*', 'c0ffee'])(
    'does not know %j',
    (version) => expect(compareKernelVersions(version, '6.12')).toBeUndefined(),
  );
});

test.each([
  ['6.12.94', '6.12.94'],
  ['v6.12', '6.12'],
  ['6.6.71-linuxkit', '6.6.71'],
  ['6.13.0-rc7-next', '6.13.0-rc7'],
  ['6.12.43+deb13-amd64', '6.12.43'],
  ['6.6.52-0-lts', '6.6.52'],
  ['6.8.5-301.fc40.x86_64', '6.8.5'],
  ['6.1.0-18-amd64', undefined],
  ['5.15.0-91-generic', undefined],
  ['6.12', '6.12'],
  ['6', undefined],
  ['linux', undefined],
  ['6.12.94x', undefined],
])('upstream version of %s: %s', (release, version) => {
  expect(upstreamKernelVersion(release)).toBe(version);
});

test.each([
  ['3.20.3', 'v3.20'],
  ['3.20', 'v3.20'],
  ['v3.20', 'v3.20'],
  ['V3.20', 'v3.20'],
  ['alpine-3.20.3', 'v3.20'],
  ['alpine-v3.9', 'v3.9'],
  ['Alpine_3.9', 'v3.9'],
  ['alpine-3.21.0_rc1', 'v3.21'],
  ['alpine-3.23_alpha20250612', 'edge'],
  ['edge', 'edge'],
  ['alpine-edge', 'edge'],
  ['20260101', '20260101'],
  ['3', '3'],
  [`3.20${'_a'.repeat(200)}!`, `3.20${'_a'.repeat(200)}!`],
])('branch of %s: %s', (release, branch) => {
  expect(branchOf(release)).toBe(branch);
});

test.each([
  ['Alpine:v3.20', { ecosystem: 'alpine', release: 'v3.20' }],
  ['alpine:3.20', { ecosystem: 'alpine', release: 'v3.20' }],
  ['Alpine', { ecosystem: 'alpine' }],
  ['Alpine:', { ecosystem: 'alpine' }],
  ['Debian:13', { ecosystem: 'debian', release: 'trixie' }],
  ['Linux', { ecosystem: 'linux' }],
  ['Linux:6.12', { ecosystem: 'linux' }],
  ['LINUX', { ecosystem: 'linux' }],
  ['crates.io', { ecosystem: 'crates' }],
  ['npm', { ecosystem: 'npm' }],
  ['Alpaquita:23', undefined],
  ['constructor', undefined],
  ['__proto__', undefined],
  ['', undefined],
])('ecosystem %j', (name, expected) => {
  expect(ecosystemOf(name)).toEqual(expected);
});
