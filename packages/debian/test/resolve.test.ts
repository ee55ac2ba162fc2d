import { describe, expect, it } from 'vitest';
import { type IndexedPackage, parsePackage } from '../src/archive/packages-index.ts';
import { type PackageSource, resolve, type Requirements } from '../src/lock/resolve.ts';
import { compareVersions } from '../src/lock/version.ts';

/** An index in memory: keys are `name version`, values are fields. */
function source(packages: Readonly<Record<string, string>>): PackageSource {
  const all: IndexedPackage[] = Object.entries(packages).map(([title, fields]) => {
    const [name = '', version = '1'] = title.split(' ');
    const hash = '0'.repeat(64);
    return parsePackage(
      `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nFilename: pool/${name}.deb\nSize: 1\nSHA256: ${hash}\n${fields}`,
      'debian',
    );
  });
  return {
    versions: (name) =>
      all
        .filter((item) => item.name === name)
        .toSorted((a, b) => compareVersions(b.version, a.version)),
    providers: (name) => all.filter(({ provides }) => provides.some((item) => item.name === name)),
  };
}

function solve(
  packages: Readonly<Record<string, string>>,
  requirements: string | Requirements,
): string[] {
  const all =
    typeof requirements === 'string' ? { packages: requirements.split(' ') } : requirements;
  return resolve(all, source(packages)).map(({ name, version }) =>
    version === '1' ? name : `${name} ${version}`,
  );
}

describe('resolve', () => {
  it.each<[string, Readonly<Record<string, string>>, string | Requirements, readonly string[]]>([
    [
      'Depends and Pre-Depends, not Recommends',
      { a: 'Depends: b\nPre-Depends: c\nRecommends: d', b: '', c: '', d: '' },
      'a',
      ['a', 'b', 'c'],
    ],
    ['a cycle', { a: 'Depends: b', b: 'Depends: c', c: 'Depends: a (>= 1)' }, 'a', ['a', 'b', 'c']],
    ['the newest version', { 'a 1': '', 'a 2': '', 'a 1.5': '' }, 'a', ['a 2']],
    [
      'the newest satisfying version',
      { a: 'Depends: b (<< 2)', 'b 1.2': '', 'b 1.9': '', 'b 2': '' },
      'a',
      ['a', 'b 1.9'],
    ],
    ['a requested version', { 'a 1': '', 'a 2': '' }, { packages: ['a (= 1)'] }, ['a']],
    ['the first alternative', { a: 'Depends: b | c', b: '', c: '' }, 'a', ['a', 'b']],
    ['an alternative already selected', { a: 'Depends: b | c', b: '', c: '' }, 'a c', ['a', 'c']],
    ['the only existing alternative', { a: 'Depends: gone | c', c: '' }, 'a', ['a', 'c']],
    [
      'a real package before a provider',
      { a: 'Depends: v', p: 'Provides: v', v: '' },
      'a',
      ['a', 'v'],
    ],
    [
      'providers by priority, then name',
      {
        a: 'Depends: v',
        p: 'Provides: v',
        q: 'Provides: v\nPriority: important',
        r: 'Provides: v',
      },
      'a',
      ['a', 'q'],
    ],
    [
      'a versioned provider',
      { a: 'Depends: v (>= 2)', p: 'Provides: v', q: 'Provides: v (= 2)' },
      'a',
      ['a', 'q'],
    ],
    [
      'a provider by its newest version',
      { a: 'Depends: v', 'p 1': 'Provides: v', 'p 2': '', 'q 1': 'Provides: v' },
      'a',
      ['a', 'q'],
    ],
    [':any', { a: 'Depends: b:any', b: '' }, 'a', ['a', 'b']],
    [
      'an alternative that avoids a conflict',
      { a: 'Depends: b | c', b: 'Conflicts: x', c: '', x: '' },
      'a x',
      ['a', 'c', 'x'],
    ],
    [
      'an alternative after a deep failure',
      { a: 'Depends: b | c', b: 'Depends: d', d: 'Depends: gone', c: '' },
      'a',
      ['a', 'c'],
    ],
    ['a conflict with its own virtual package', { a: 'Provides: v\nConflicts: v' }, 'a', ['a']],
    ['Breaks of an old version', { a: 'Breaks: b (<< 1)\nDepends: b', b: '' }, 'a', ['a', 'b']],
    [
      'without',
      { a: 'Depends: b, c', b: 'Depends: d', c: '', d: '' },
      { packages: ['a'], without: ['b'] },
      ['a', 'c'],
    ],
    [
      'without, in an alternative',
      { a: 'Depends: b | c', b: '', c: '' },
      { packages: ['a'], without: ['b'] },
      ['a'],
    ],
    [
      'without, for a virtual package',
      { a: 'Depends: v', b: 'Provides: v', c: 'Provides: v' },
      { packages: ['a'], without: ['c'] },
      ['a'],
    ],
    [
      'noDependencies',
      { a: 'Depends: b', b: '' },
      { packages: ['a'], noDependencies: true },
      ['a'],
    ],
  ])('resolves %s', (_what, packages, requirements, expected) => {
    expect(solve(packages, requirements)).toEqual(expected);
  });

  it('ignores the order of the requirements', () => {
    const packages = { a: 'Depends: x | y', b: 'Depends: y | x', x: '', y: '' };
    expect(solve(packages, 'b a')).toEqual(solve(packages, 'a b'));
  });

  it.each<[Readonly<Record<string, string>>, string | Requirements, string]>([
    [{}, 'a', 'there is no package a'],
    [
      { a: 'Depends: b', b: 'Depends: c', c: 'Depends: gone' },
      'a',
      'a → b → c: there is no package gone',
    ],
    [
      { a: 'Depends: b (>= 2)', 'b 1.9': '' },
      'a',
      'a: no version satisfies b (>= 2): the newest is 1.9',
    ],
    [{ a: 'Depends: v (>= 2)', p: 'Provides: v (= 1)' }, 'a', 'a: no package provides v (>= 2)'],
    [{ a: 'Depends: x | y' }, 'a', 'a: there is no package x; there is no package y'],
    [{ a: 'Depends: b', b: 'Conflicts: a' }, 'a', 'a: b conflicts with a'],
    [{ a: 'Depends: b', b: 'Breaks: a (<< 2)' }, 'a', 'a: b conflicts with a'],
    [{ a: 'Conflicts: v', b: 'Provides: v' }, 'a b', 'a conflicts with b'],
    [
      { a: 'Depends: c (= 1)', b: 'Depends: c (= 2)', 'c 1': '', 'c 2': '' },
      'a b',
      'b: c 1 is already selected and does not satisfy c (= 2)',
    ],
    [{ a: 'Depends: b:arm64', b: '' }, 'a', 'a: no version satisfies b:arm64: the newest is 1'],
    [
      { a: '' },
      { packages: ['a'], without: ['typo'] },
      'there is no package typo, named under "without"',
    ],
    [{ a: '' }, { packages: ['a'], without: ['a'] }, 'a is both required and under "without"'],
  ])('names the chain: %j %j', (packages, requirements, message) => {
    expect(() => solve(packages, requirements)).toThrow(
      expect.objectContaining({ code: 'DEPENDENCY_UNRESOLVED', message }),
    );
  });

  it('gives up on an intractable puzzle', () => {
    const packages: Record<string, string> = { last: 'Depends: gone' };
    const depends: string[] = [];
    for (let i = 0; i < 40; i += 1) {
      Object.assign(packages, { [`x${i}`]: '', [`y${i}`]: '' });
      depends.push(`x${i} | y${i}`);
    }
    packages['a'] = `Depends: ${depends.join(', ')}, last`;
    expect(() => solve(packages, 'a')).toThrow('a → last: there is no package gone');
  });
});
