import { describe, expect, it } from 'vitest';
import { listedPackages } from '../src/compare-packages.ts';
import { compareValues } from '../src/compare-values.ts';
import { sbom } from './support.ts';

describe('compareValues', () => {
  it.each<[unknown, unknown, unknown[]]>([
    [{ a: 1 }, { a: 1 }, []],
    [1, 'x', [{ path: '', before: 1, after: 'x' }]],
    [{ a: { b: 1 } }, { a: { b: 2, c: null } }, [{ path: 'a.b', before: 1, after: 2 }]],
    [{ a: 1 }, {}, [{ path: 'a', before: 1 }]],
    [{ a: [1, 2] }, { a: [1, 3] }, [{ path: 'a', before: [1, 2], after: [1, 3] }]],
    [
      { files: [{ path: '/a', mode: 1 }, { path: '/b' }] },
      { files: [{ path: '/b' }, { path: '/a', mode: 2 }] },
      [{ path: 'files[/a].mode', before: 1, after: 2 }],
    ],
    [
      { c: ['A', 'B', 'C'] },
      { c: ['A', 'C', 'D'] },
      [
        { path: 'c[B]', before: 'B' },
        { path: 'c[D]', after: 'D' },
      ],
    ],
    [
      { c: ['A', 'B'] },
      { c: ['B', 'A'] },
      [{ path: 'c (order)', before: ['A', 'B'], after: ['B', 'A'] }],
    ],
    [
      { args: ['a', 'b'] },
      { args: ['a', 'c'] },
      [{ path: 'args', before: ['a', 'b'], after: ['a', 'c'] }],
    ],
    [
      { label: '{"c":["A"],"u":1}' },
      { label: '{"c":["A","B"],"u":1}' },
      [{ path: 'label.c[B]', after: 'B' }],
    ],
    [{ label: '{a' }, { label: '{"b":1}' }, [{ path: 'label', before: '{a', after: '{"b":1}' }]],
    [
      [{ name: 'a' }, { name: 'a', x: 1 }],
      [{ name: 'a' }, { name: 'a', x: 2 }],
      [{ path: '[a #2].x', before: 1, after: 2 }],
    ],
    [
      { m: [{ destination: '/a' }, { destination: '/b' }] },
      { m: [{ destination: '/b' }, { destination: '/a' }] },
      [
        {
          path: 'm (order)',
          before: [{ destination: '/a' }, { destination: '/b' }],
          after: [{ destination: '/b' }, { destination: '/a' }],
        },
      ],
    ],
  ])('compares %j with %j', (before, after, changes) => {
    expect(compareValues(before, after)).toEqual(changes);
  });

  it('compares JSON with more levels than functions can follow as a whole', () => {
    const [before, after] = [20_000, 20_001].map(
      (levels) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`,
    );
    const found = compareValues({ label: before }, { label: after });
    expect(found).toEqual([{ path: 'label', before, after }]);
  });
});

describe('listedPackages', () => {
  it('sorts packages, and leaves out containers, sources and the image itself', () => {
    const purl = 'pkg:deb/debian/zlib@1';
    const document = sbom([
      {
        name: 'zlib',
        versionInfo: '1',
        externalRefs: [null, { referenceType: 'purl', referenceLocator: purl }],
      },
      { name: 'app' },
      { name: 'base', primaryPackagePurpose: 'CONTAINER' },
      { name: 'tree', primaryPackagePurpose: 'SOURCE' },
      { name: 'busybox', licenseDeclared: 'GPL-2.0-only', externalRefs: 'none' },
      {
        name: 'zlib',
        versionInfo: '1',
        externalRefs: [{ referenceType: 'purl', referenceLocator: purl }],
      },
    ]);
    expect(listedPackages(document)).toEqual([
      { name: 'busybox', version: '', license: 'GPL-2.0-only' },
      { name: 'zlib', version: '1', purl },
    ]);
    expect(listedPackages(undefined)).toEqual([]);
  });
});
