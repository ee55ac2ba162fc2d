import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDatabase } from '../src/database.ts';
import { parseTrackerPackage } from '../src/debian-tracker.ts';
import { AdvisoryIndex, findVulnerabilities, type Vulnerability } from '../src/match.ts';
import { parseOpenVex, statementFor } from '../src/open-vex.ts';
import { parseOsv } from '../src/osv.ts';
import { parseSbom } from '../src/sbom.ts';
import { sarifOf } from '../src/sarif.ts';

const deb = (name: string, version: string, more = ''): string =>
  `pkg:deb/debian/${name}@${encodeURIComponent(version)}?distro=trixie${more}`;

function sbom(...purls: readonly string[]): unknown {
  const packages = purls.map((purl, index) => ({
    SPDXID: `SPDXRef-${index}`,
    externalRefs: [{ referenceType: 'purl', referenceLocator: purl }],
  }));
  return { spdxVersion: 'SPDX-2.3', packages };
}

/** Returns what an OSV record finds in an SBOM of one package. */
function found(purl: string, affected: unknown, more: object = {}): readonly Vulnerability[] {
  const index = new AdvisoryIndex();
  const advisory = parseOsv({ id: 'X-1', affected, ...more }, 'x.json');
  if (advisory !== undefined) index.add(advisory);
  return findVulnerabilities(parseSbom(sbom(purl), 'sbom').packages, index);
}

const debian = (events: unknown, more: object = {}): unknown => [
  {
    package: { ecosystem: 'Debian:13', name: 'a' },
    ranges: [{ type: 'ECOSYSTEM', events }],
    ...more,
  },
];
const go = (name: string, events: unknown): unknown => [
  { package: { ecosystem: 'Go', name }, ranges: [{ type: 'SEMVER', events }] },
];
const linux = (...ranges: readonly unknown[]): unknown => [
  {
    package: { ecosystem: 'Linux', name: 'Kernel' },
    ranges: ranges.map((events) => ({ type: 'ECOSYSTEM', events })),
  },
];
const alpine = (name: string, release: string, events: unknown): unknown => [
  {
    package: { ecosystem: `Alpine${release}`, name },
    ranges: [{ type: 'ECOSYSTEM', events }],
  },
];
const npm = (ecosystem: string, name: string, events: unknown): unknown => [
  { package: { ecosystem, name }, ranges: [{ type: 'SEMVER', events }] },
];
const COMMITS = { type: 'GIT', repo: 'https://git.example', events: [{ introduced: 'c0ffee' }] };
/** Fixed in each branch, as records of the kernel's CNA say it. */
const BRANCHES = [
  [{ introduced: '6.2.0' }, { fixed: '6.6.64' }],
  [{ introduced: '6.7.0' }, { fixed: '6.12.5' }],
  [{ introduced: '6.13-rc1' }, { fixed: '6.13-rc4' }],
];
const kernel = (version: string): string => `pkg:generic/linux@${version}`;
const busybox = (more: string): string =>
  `pkg:apk/alpine/busybox-binsh@1.36.1-r15?arch=x86_64${more}`;
const UNTIL_R16 = [{ introduced: '0' }, { fixed: '1.36.1-r16' }];

const UNTIL_2 = [{ introduced: '0' }, { fixed: '2' }];

type Case = readonly [title: string, purl: string, affected: unknown, more?: object];

describe('a version is affected', () => {
  const cases: readonly Case[] = [
    ['if the fix has an epoch', deb('a', '9.0'), debian([{ introduced: '0' }, { fixed: '1:1' }])],
    [
      'by an epoch in the URL',
      deb('a', '1:1.9'),
      debian([{ introduced: '1:0' }, { fixed: '1:2' }]),
    ],
    ['before the release of a ~rc', deb('a', '2~rc1'), debian(UNTIL_2)],
    ['as a binNMU of it', deb('a', '1.9+b4'), debian(UNTIL_2)],
    ['by the version of its source', deb('z', '9', '&upstream=a%401.0'), debian(UNTIL_2)],
    ['without a fix', deb('a', '7'), debian([{ introduced: '0' }])],
    [
      'up to the last one, inclusive',
      deb('a', '2'),
      debian([{ introduced: '0' }, { last_affected: '2' }]),
    ],
    ['by a range without a beginning', deb('a', '1'), debian([{ fixed: '2' }])],
    ['if the advisory lists no version', deb('a', '1'), debian([])],
    [
      'if the advisory only has commits',
      deb('a', '1'),
      [
        {
          package: { ecosystem: 'Debian:13', name: 'a' },
          ranges: [{ type: 'GIT', events: UNTIL_2 }],
        },
      ],
    ],
    [
      'by an advisory about all releases',
      deb('a', '1'),
      [
        {
          package: { ecosystem: 'Debian', name: 'a' },
          ranges: [{ type: 'ECOSYSTEM', events: UNTIL_2 }],
        },
      ],
    ],
    ['if the advisory was not withdrawn', deb('a', '1'), debian(UNTIL_2), { withdrawn: null }],
    ['if it was withdrawn at no time', deb('a', '1'), debian(UNTIL_2), { withdrawn: '' }],
    ['of a URL in upper case', deb('a', '1').replace('deb/debian', 'DEB/Debian'), debian(UNTIL_2)],
    [
      'of a Go module with lower-case path',
      'pkg:golang/github.com/burntsushi/toml@v1.0.0',
      go('github.com/BurntSushi/toml', UNTIL_2),
    ],
    [
      'of a Go module without v',
      'pkg:golang/example.com/a@1.9.0',
      go('example.com/a', [{ introduced: '0' }, { fixed: '1.9.1' }]),
    ],
    [
      'of an incompatible Go module',
      'pkg:golang/example.com/a@v1.9.0%2Bincompatible',
      go('example.com/a', [{ introduced: '0' }, { fixed: '1.9.1' }]),
    ],
    [
      'of a Go module built from a branch',
      'pkg:golang/example.com/a@(devel)',
      go('example.com/a', [{ introduced: '1.0.0' }, { fixed: '1.9.1' }]),
    ],
    [
      'of the standard library under the name of cyclonedx-gomod',
      'pkg:golang/std@go1.22.1',
      go('stdlib', [{ introduced: '0' }, { fixed: '1.22.2' }]),
    ],
    [
      'of a release candidate of Go',
      'pkg:golang/stdlib@go1.22rc2',
      go('stdlib', [{ introduced: '0' }, { fixed: '1.22.0-rc.3' }]),
    ],
    [
      'of the ninth release candidate of Go',
      'pkg:golang/stdlib@go1.22rc9',
      go('stdlib', [{ introduced: '0' }, { fixed: '1.22.0-rc.10' }]),
    ],
    ['with an empty source package in the URL', deb('a', '1', '&upstream='), debian(UNTIL_2)],
    ['with a source package without a name', deb('a', '1', '&upstream=%401'), debian(UNTIL_2)],
    ['with an empty release', 'pkg:deb/debian/a@1?distro=', debian(UNTIL_2)],
    ['of a name in upper case', deb('A', '1'), debian(UNTIL_2)],
    [
      'of unstable, which advisories call sid',
      'pkg:deb/debian/a@1?distro=debian-unstable',
      [
        {
          package: { ecosystem: 'Debian:sid', name: 'a' },
          ranges: [{ type: 'ECOSYSTEM', events: UNTIL_2 }],
        },
      ],
    ],
    [
      'of a part of a Go module',
      'pkg:golang/example.com/a@v1.0.0#cmd/x',
      go('example.com/a', [{ introduced: '0' }, { fixed: '1.9.1' }]),
    ],
  ];
  const others: readonly Case[] = [
    ['of a kernel in a branch without a fix', kernel('6.3.1'), linux(...BRANCHES)],
    ['of a kernel before the fix in its branch', kernel('6.12.4'), linux(...BRANCHES)],
    ['of the release candidate of a kernel', kernel('6.13-rc3'), linux(...BRANCHES)],
    ['of the first kernel of a branch', kernel('6.7'), linux(...BRANCHES)],
    ['of a kernel with a local version', kernel('6.12.4-linuxkit'), linux(...BRANCHES)],
    ['of a kernel by the name of Syft', 'pkg:generic/linux-kernel@6.12.4', linux(...BRANCHES)],
    [
      'of a kernel by ranges in one list of events',
      kernel('6.12.4'),
      linux(BRANCHES.flat().toReversed()),
    ],
    ['of a kernel by overlapping ranges', kernel('6.12.4'), linux(UNTIL_2, [{ introduced: '5' }])],
    ['of a kernel by a bound of unknown form', kernel('6.12.4'), linux([{ fixed: 'next' }])],
    ['of a kernel without versions in the advisory', kernel('6.12.4'), linux()],
    [
      'of a kernel by tags',
      kernel('6.12.4'),
      [
        {
          package: { ecosystem: 'Linux', name: 'Kernel' },
          ranges: [COMMITS],
          versions: ['v6.12.4'],
        },
      ],
    ],
    ['of a kernel in an ecosystem with a suffix', kernel('1.0'), npm('linux:6', 'kernel', UNTIL_2)],
    ['before a limit', deb('a', '1'), debian([{ introduced: '0' }, { limit: '2' }])],
    [
      'before one of several limits',
      deb('a', '2'),
      debian([{ introduced: '0' }, { limit: '2' }, { limit: '3' }]),
    ],
    [
      'without a limit',
      deb('a', '9'),
      debian([{ introduced: '0' }, { limit: '*' }, { limit: '2' }]),
    ],
    [
      'before a limit of unknown form',
      kernel('6.12'),
      linux([{ introduced: '0' }, { limit: 'x' }]),
    ],
    [
      'where one range ends and another begins',
      deb('a', '6'),
      debian([{ introduced: '0' }, { introduced: '5' }, { fixed: '5' }, { fixed: '9' }]),
    ],
    [
      'where one range ends, inclusive, and another begins',
      deb('a', '6'),
      debian([{ introduced: '5' }, { last_affected: '5' }, { introduced: '0' }]),
    ],
    ['by an event with two bounds', deb('a', '1'), debian([{ introduced: '0', fixed: '2' }])],
    [
      'of Alpine, by its origin',
      busybox('&distro=alpine-3.20.3&upstream=busybox'),
      alpine('busybox', ':v3.20', UNTIL_R16),
    ],
    [
      'of Alpine, by its origin under another name',
      busybox('&distro=3.20.3&origin=busybox'),
      alpine('busybox', ':v3.20', UNTIL_R16),
    ],
    [
      'of Alpine, without a release',
      busybox('&upstream=busybox'),
      alpine('busybox', ':v3.20', UNTIL_R16),
    ],
    [
      'of Alpine, by an advisory about all releases',
      busybox('&distro=alpine-3.20.3&upstream=busybox'),
      alpine('busybox', '', UNTIL_R16),
    ],
    [
      'of Alpine, by an advisory with another form of the release',
      busybox('&distro=alpine-3.20.3&upstream=busybox'),
      alpine('busybox', ':3.20', UNTIL_R16),
    ],
    [
      'of Alpine, after a version of unknown form',
      busybox('&distro=alpine-3.20.3&upstream=busybox'),
      alpine('busybox', ':v3.20', [{ introduced: '1.2-beta9' }, { fixed: '1.36.1-r16' }]),
    ],
    ['of npm', 'pkg:npm/left-pad@1.2.9', npm('npm', 'left-pad', UNTIL_2)],
    ['of npm in a scope', 'pkg:npm/%40scope/a@1.9.9', npm('npm', '@scope/a', UNTIL_2)],
    ['of npm before a release', 'pkg:npm/a@2.0.0-rc.1', npm('npm', 'a', UNTIL_2)],
    ['of a crate', 'pkg:cargo/ring@0.17.7', npm('crates.io', 'ring', UNTIL_2)],
  ];
  for (const [title, purl, affected, more] of [...cases, ...others])
    test(title, () => expect(found(purl, affected, more)).toMatchObject([{ id: 'X-1' }]));
});

describe('a version is not affected', () => {
  const cases: readonly Case[] = [
    ['from the fix on', deb('a', '2'), debian(UNTIL_2)],
    ['as a binNMU of the fix', deb('a', '2+b1'), debian(UNTIL_2)],
    ['by a higher epoch', deb('a', '1:0.1'), debian(UNTIL_2)],
    ['before the range', deb('a', '1'), debian([{ introduced: '1.5' }, { fixed: '2' }])],
    ['between ranges', deb('a', '3'), debian([...UNTIL_2, { introduced: '4' }])],
    ['by a second fix', deb('a', '2.5'), debian([...UNTIL_2, { fixed: '3' }])],
    [
      'by a withdrawn advisory',
      deb('a', '1'),
      debian(UNTIL_2),
      { withdrawn: '2025-01-01T00:00:00Z' },
    ],
    [
      'by an advisory about another ecosystem',
      deb('a', '1'),
      [{ package: { ecosystem: 'npm', name: 'a' } }],
    ],
    ['of a kernel with the fix in its branch', kernel('6.6.64'), linux(...BRANCHES)],
    ['of a kernel with the fix of a release candidate', kernel('6.13'), linux(...BRANCHES)],
    ['of a kernel before the first affected one', kernel('6.1.119'), linux(...BRANCHES)],
    [
      'of a kernel with a fix, and commits beside the versions',
      kernel('6.12.5'),
      [
        ...(linux(...BRANCHES) as readonly unknown[]),
        { package: { ecosystem: 'Linux', name: 'Kernel' }, ranges: [COMMITS] },
        { ranges: [COMMITS] },
      ],
    ],
    [
      'of a kernel of Debian',
      deb('linux-image-amd64', '6.12.4-1', '&upstream=linux'),
      linux(...BRANCHES),
    ],
    ['at a limit', deb('a', '2'), debian([{ introduced: '0' }, { limit: '2' }])],
    ['in an empty range', deb('a', '6'), debian([{ introduced: '5' }, { fixed: '5' }])],
    [
      'of Alpine, from the fix on',
      busybox('&distro=alpine-3.20.3&upstream=busybox').replace('r15', 'r16'),
      alpine('busybox', ':v3.20', UNTIL_R16),
    ],
    [
      'of another release of Alpine',
      busybox('&distro=alpine-3.20.3&upstream=busybox'),
      alpine('busybox', ':v3.19', UNTIL_R16),
    ],
    [
      'of edge of Alpine',
      busybox('&distro=alpine-3.23_alpha20250612&upstream=busybox'),
      alpine('busybox', ':v3.22', UNTIL_R16),
    ],
    [
      'of another distribution with apk',
      busybox('&upstream=busybox').replace('apk/alpine', 'apk/wolfi'),
      alpine('busybox', ':v3.20', UNTIL_R16),
    ],
    ['of npm, from the fix on', 'pkg:npm/a@2.0.0', npm('npm', 'a', UNTIL_2)],
    ['of npm in another scope', 'pkg:npm/%40scope/a@1.9.9', npm('npm', 'a', UNTIL_2)],
    [
      'of a module of Go with the name of a crate',
      'pkg:golang/a@v1.0.0',
      npm('crates.io', 'a', UNTIL_2),
    ],
    [
      'by an advisory about another release',
      deb('a', '1'),
      [{ package: { ecosystem: 'Debian:12', name: 'a' } }],
    ],
    [
      'by its binary name, if the source has another',
      deb('a', '1', '&upstream=b'),
      debian(UNTIL_2),
    ],
  ];
  for (const [title, purl, affected, more] of cases)
    test(title, () => expect(found(purl, affected, more)).toEqual([]));
});

test.each([
  ['an event that is a number', debian([{ introduced: 0 }, { fixed: '2' }]), '"introduced"'],
  ['a fix that is a list', debian([{ introduced: '0' }, { fixed: ['2'] }]), '"fixed"'],
])('parseOsv rejects %s', (_, affected, field) => {
  expect(() => parseOsv({ id: 'X', affected }, 'x.json')).toThrow(
    `x.json: ${field} of an event is not a text`,
  );
});

test.each([
  ['affected packages that are no list', { package: { ecosystem: 'Go', name: 'a' } }],
  ['a package without a name', [{ package: { ecosystem: 'Go' } }]],
  ['a package without an ecosystem', [{ package: { name: 'a' } }]],
  ['a package that is a text', [{ package: 'a' }]],
  ['an entry that is a text', ['a']],
])('parseOsv rejects %s', (_, affected) => {
  expect(() => parseOsv({ id: 'X', affected }, 'x.json')).toThrow(/^x\.json: .*"affected"/);
});

test('parseTrackerPackage clears all versions only if the state is resolved', () => {
  const releases = { trixie: { status: 'open', fixed_version: '0' } };
  expect(parseTrackerPackage('a', { 'CVE-1': { releases } }, 'x')[0]?.affected).toMatchObject([
    { ranges: [{}] },
  ]);
});

test('parseTrackerPackage treats an unknown state as affected', () => {
  const entry = { 'CVE-1': { releases: { trixie: { status: 7 }, bookworm: null } } };
  expect(parseTrackerPackage('a', entry, 'x')[0]?.affected).toMatchObject([
    { release: 'trixie', ranges: [{}] },
    { release: 'bookworm', ranges: [{}] },
  ]);
});

test.each(['empty', 'other'])(
  'readDatabase rejects a directory without records: %s',
  async (name) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-odd-'));
    mkdirSync(join(dir.path, name, 'advisories.d'), { recursive: true });
    await expect(readDatabase(join(dir.path, name), () => undefined, name)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `the database ${name} has no OSV record`,
    });
  },
);

const state = { releases: { trixie: { status: 'open' } } };
test.each([
  ['an entry without releases', { a: { 'CVE-1': state, 'CVE-2': {} }, b: { 'CVE-1': state } }],
  ['an entry that is null', { b: { 'CVE-1': state }, a: { 'CVE-1': state, 'CVE-2': null } }],
  ['a list of releases', { b: { 'CVE-1': state }, a: { 'CVE-1': { releases: [state] } } }],
  ['a package that is a text', { a: 'CVE-1', b: { 'CVE-1': state } }],
  ['the id of an OSV record', { id: 'X-1', b: { 'CVE-1': state } }],
])('readDatabase rejects a tracker with %s', async (_, document) => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-odd-'));
  const path = join(dir.path, 'tracker.json');
  writeFileSync(path, JSON.stringify(document));
  await expect(readDatabase(path, () => undefined)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(/^tracker\.json: .* has no states of releases$/),
  });
});

test('covers the releases and ecosystems that have advisories', () => {
  const index = new AdvisoryIndex();
  const advisory = parseOsv({ id: 'X', affected: debian(UNTIL_2) }, 'x');
  if (advisory !== undefined) index.add(advisory);
  const purls = [
    'pkg:deb/debian/z@1?distro=trixie',
    'pkg:deb/debian/z@1',
    'pkg:deb/debian/z@1?distro=debian-10',
    'pkg:golang/example.com/z@v1.0.0',
  ];
  const { packages } = parseSbom(sbom(...purls), 'sbom');
  const covered = packages.filter((item) => index.covers(item)).map(({ purl }) => purl);
  expect(covered.toSorted()).toEqual(purls.slice(0, 2).toSorted());
});

describe('parseSbom names components without a package URL', () => {
  test('of SPDX, but not what the document describes', () => {
    const document = {
      spdxVersion: 'SPDX-2.3',
      documentDescribes: ['SPDXRef-root'],
      packages: [
        { SPDXID: 'SPDXRef-root', name: 'image' },
        { SPDXID: 'SPDXRef-image', name: 'image 2' },
        { SPDXID: 'SPDXRef-b', name: 'busybox', versionInfo: '1.36' },
        { SPDXID: 'SPDXRef-c', externalRefs: [{ referenceType: 'cpe23Type' }] },
        { name: 'no id', externalRefs: 7 },
        { name: 'sources', primaryPackagePurpose: 'SOURCE' },
        null,
        {
          SPDXID: 'SPDXRef-d',
          name: 'known',
          externalRefs: [
            {
              referenceType: 'http://spdx.org/rdf/references/purl',
              referenceLocator: deb('a', '1'),
            },
          ],
        },
      ],
      relationships: [
        { relationshipType: 'DESCRIBES', relatedSpdxElement: 'SPDXRef-image' },
        { relationshipType: 'DESCRIBES' },
        7,
      ],
    };
    const { packages, uncovered, unidentified } = parseSbom(document, 'sbom');
    expect(packages.map(({ name }) => name)).toEqual(['a']);
    expect(uncovered).toEqual([]);
    expect(unidentified).toEqual(['a component without a name', 'busybox 1.36', 'no id']);
  });

  test('of CycloneDX, but not files and operating systems', () => {
    const document = {
      bomFormat: 'CycloneDX',
      metadata: { component: { name: 'image' } },
      components: [
        { type: 'file', name: '/bin/sh' },
        { type: 'operating-system', name: 'debian', version: '13' },
        { type: 'application', name: 'app', components: [{ type: 'library', name: 'inner' }] },
        { type: 'library', name: 3, version: '' },
        { type: 'library', name: 'known', purl: deb('a', '1') },
      ],
    };
    expect(parseSbom(document, 'sbom').unidentified).toEqual([
      'a component without a name',
      'app',
      'inner',
    ]);
  });

  test.each([
    [{ spdxVersion: 'SPDX-2.3', packages: {} }, 'packages'],
    [{ bomFormat: 'CycloneDX', components: 'none' }, 'components'],
  ])('and rejects a list of another type: %j', (document, field) => {
    expect(() => parseSbom(document, 'x.json')).toThrow(`x.json: "${field}" is not a list`);
  });
});

test.each([
  [{ name: 'app', purl: deb('a', '1'), components: [{ name: 'b', purl: deb('b', '1') }] }, 'a b'],
  [{ name: 'app', components: [{ name: 'b', purl: deb('b', '1') }] }, 'b'],
  [{ name: 'app' }, ''],
])('parseSbom reads what a CycloneDX document describes, and its parts: %j', (component, names) => {
  const { packages } = parseSbom({ bomFormat: 'CycloneDX', metadata: { component } }, 'sbom');
  expect(packages.map(({ name }) => name).join(' ')).toBe(names);
});

test('sarifOf notifies of what was not looked up', () => {
  expect(sarifOf([], '1.0.0', ['busybox 1.36'])).toMatchObject({
    runs: [
      {
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: [
              { level: 'note', message: { text: 'busybox 1.36 was not looked up' } },
            ],
          },
        ],
      },
    ],
  });
});

describe('a VEX statement', () => {
  const purl = 'pkg:golang/example.com/a@v1.0.0?type=module#cmd/x';
  const [vulnerability] = found(purl, go('example.com/a', UNTIL_2));
  const says = (products: unknown, images: readonly string[] = []): boolean => {
    if (vulnerability === undefined) throw new Error('not found');
    const statements = parseOpenVex(
      {
        '@context': 'https://openvex.dev/ns/v0.2.0',
        statements: [
          { vulnerability: { name: 'X-1' }, products, status: 'fixed', timestamp: 'no date' },
        ],
      },
      'vex',
    );
    return statementFor(vulnerability, images, statements) !== undefined;
  };

  test.each([
    'pkg:golang/example.com/a',
    'pkg:golang/example.com/a@v1.0.0',
    'pkg:golang/example.com/a#cmd/x',
    'pkg:golang/example.com/a@?type=module#/cmd/x/',
  ])('applies to %s', (id) => expect(says([{ '@id': id }])).toBe(true));

  test.each([
    'pkg:golang/example.com/a#cmd/y',
    'pkg:golang/example.com/a@v1.0.1',
    'pkg:golang/example.com/a?type=package',
    'pkg:golang/example.com/b',
    'pkg:deb/debian/a',
    'pkg:golang/%',
    'example.com/a',
    '',
  ])('does not apply to %j', (id) => expect(says([{ '@id': id }])).toBe(false));

  test('about a part of an image needs both', () => {
    const part = [{ '@id': 'pkg:oci/i', subcomponents: [{ '@id': 'pkg:golang/example.com/a' }] }];
    expect(says(part, ['pkg:oci/i@sha256%3Aaa'])).toBe(true);
    expect(says(part, ['pkg:oci/j'])).toBe(false);
    const unreadable = [7, { identifiers: { cpe23: 'cpe:2.3:a:x:x' } }];
    expect(says([{ '@id': 'pkg:oci/i', subcomponents: unreadable }], ['pkg:oci/i'])).toBe(false);
    expect(says([{ '@id': 'pkg:oci/i', subcomponents: [] }], ['pkg:oci/i'])).toBe(true);
  });
});

describe('fixed', () => {
  const cases: readonly (readonly [
    title: string,
    purl: string,
    affected: unknown,
    fixed?: string,
  ])[] = [
    ['in its branch', kernel('6.6.1'), linux(...BRANCHES), '6.6.64'],
    ['in the next branch, if its own has no fix', kernel('6.9'), linux(...BRANCHES), '6.12.5'],
    [
      'by the last of overlapping ranges',
      kernel('6.1'),
      linux(
        [{ fixed: '6.6.64' }],
        [{ fixed: '6.12.5' }],
        [{ introduced: '6.12' }, { fixed: '6.12.9' }],
      ),
      '6.12.9',
    ],
    [
      'in no version, if a range has no end',
      kernel('6.1'),
      linux([{ fixed: '6.6' }], [{ introduced: '5' }]),
    ],
    [
      'after the last affected one',
      kernel('6.1'),
      linux([{ fixed: '6.6' }], [{ introduced: '5' }, { last_affected: '6.6' }]),
    ],
    [
      'by a fix before another range',
      kernel('6.1'),
      linux([{ fixed: '6.6' }], [{ introduced: '6.7' }]),
      '6.6',
    ],
  ];
  for (const [title, purl, affected, fixed] of cases)
    test(title, () => expect(found(purl, affected)).toMatchObject([{ fixed }]));
});

/** Reports whether records cover a package. */
const covers = (purl: string, ...records: readonly unknown[]): boolean => {
  const [item] = parseSbom(sbom(purl), 'sbom').packages;
  const index = new AdvisoryIndex(item && [item]);
  for (const [number, affected] of records.entries()) {
    const advisory = parseOsv({ id: `X-${number}`, affected }, 'x.json');
    if (advisory !== undefined) index.add(advisory);
  }
  return item !== undefined && index.covers(item);
};

describe('a package is covered', () => {
  const other = [...(npm('npm', 'b', UNTIL_2) as readonly unknown[])];

  test.each([
    ['by advisories about its ecosystem', 'pkg:npm/a@1.0.0', other],
    ['by advisories about its release', busybox('&distro=3.20.1'), alpine('b', ':v3.20', UNTIL_2)],
    ['without a release', busybox(''), alpine('b', ':v3.20', UNTIL_2)],
    ['as a kernel', kernel('6.12.1'), linux(...BRANCHES)],
  ])('%s', (_, purl, affected) => expect(covers(purl, affected)).toBe(true));

  test.each([
    ['another release', busybox('&distro=3.20.1'), alpine('b', ':v3.19', UNTIL_2)],
    ['releases, of edge', busybox('&distro=edge'), alpine('b', ':v3.22', UNTIL_2)],
    [
      'several ecosystems at once',
      'pkg:npm/a@1.0.0',
      [...other, ...(go('b', UNTIL_2) as readonly unknown[])],
    ],
    [
      'its ecosystem and an unknown one',
      'pkg:npm/a@1.0.0',
      [...other, ...(npm('PyPI', 'b', UNTIL_2) as readonly unknown[])],
    ],
  ])('not by advisories about %s', (_, purl, affected) =>
    expect(covers(purl, affected)).toBe(false),
  );

  test('not by an advisory about all releases, among those about others', () => {
    const records = [alpine('b', '', UNTIL_2), alpine('b', ':v3.19', UNTIL_2)];
    expect(covers(busybox('&distro=3.20.1'), ...records)).toBe(false);
  });
});

test.each([
  'pkg:generic/linux@6.1.0-18-amd64',
  'pkg:generic/linux',
  'pkg:generic/other@1',
  'pkg:generic/vendor/linux@6.12.1',
  'pkg:apk/wolfi/a@1',
  'pkg:constructor/a@1',
  'pkg:__proto__/a@1',
])('does not look up %s', (purl) =>
  expect(parseSbom(sbom(purl), 'sbom')).toMatchObject({ packages: [], uncovered: [purl] }),
);

test('an index holds only advisories about its packages', () => {
  const [item] = parseSbom(sbom(kernel('6.12.4')), 'sbom').packages;
  const index = new AdvisoryIndex([]);
  const advisory = parseOsv({ id: 'X-1', affected: linux(...BRANCHES) }, 'x.json');
  if (advisory !== undefined) index.add(advisory);
  expect(item && index.about(item)).toEqual([]);
});

test('the same record twice is one entry, with all ids', () => {
  const [item] = parseSbom(sbom(kernel('6.12.4')), 'sbom').packages;
  const index = new AdvisoryIndex();
  for (const [id, aliases] of [
    ['CVE-2026-1', []],
    ['GHSA-1', []],
    ['A-1', ['GHSA-1', 'CVE-2026-1']],
    ['CVE-2026-1', ['__proto__']],
    ['B-1', ['A-1']],
  ] as const) {
    const advisory = parseOsv({ id, aliases, affected: linux(...BRANCHES) }, 'x.json');
    if (advisory !== undefined) index.add(advisory);
  }
  const vulnerabilities = item === undefined ? [] : findVulnerabilities([item], index);
  expect(vulnerabilities.map(({ ids }) => ids)).toEqual([
    ['CVE-2026-1', 'A-1', 'B-1', 'GHSA-1', '__proto__'],
    ['GHSA-1'],
  ]);
});
