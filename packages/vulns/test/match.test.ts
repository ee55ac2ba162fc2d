import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Advisory } from '../src/advisory.ts';
import { readDatabase } from '../src/database.ts';
import {
  AdvisoryIndex,
  findVulnerabilities,
  fixedVulnerabilities,
  type Vulnerability,
} from '../src/match.ts';
import { parseOpenVex, statementFor } from '../src/open-vex.ts';
import {
  missingIn,
  parseSbom,
  parseSboms,
  type SbomDocument,
  type SbomPackages,
} from '../src/sbom.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-vulns-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const RUNC = 'pkg:deb/debian/runc@1.1.15%2Bds1-2%2Bb4?arch=amd64&distro=trixie';
const RUNC_DEV =
  'pkg:deb/debian/golang-github-opencontainers-runc-dev@1.1.15%2Bds1-2%2Bdeb13u1?arch=all&distro=trixie&upstream=runc';
const LIBC = 'pkg:deb/debian/libc6@2.41-12%2Bdeb13u5?arch=amd64&distro=trixie&upstream=glibc';
const SYS = 'pkg:golang/golang.org/x/sys@v0.22.0';
const IMAGE = 'pkg:oci/runc@sha256%3Aaa?repository_url=docker.io/lkt/runc';

const TRACKER = {
  runc: {
    'CVE-2025-31133': {
      description: 'masked paths can be bypassed',
      releases: {
        trixie: { status: 'resolved', fixed_version: '1.1.15+ds1-2+deb13u1', urgency: 'high' },
        bookworm: { status: 'open', urgency: 'not yet assigned' },
      },
    },
  },
  glibc: {
    'CVE-2019-1010022': { releases: { trixie: { status: 'open', urgency: 'unimportant' } } },
    'CVE-2026-1': {
      releases: { trixie: { status: 'resolved', fixed_version: '0', urgency: 'high' } },
    },
    'CVE-2026-2': { releases: { bookworm: { status: 'open', urgency: 'high' } } },
    'CVE-2026-3': { releases: { trixie: { status: 'undetermined', urgency: 'not yet assigned' } } },
  },
};

function sbom(...purls: readonly string[]): unknown {
  return {
    spdxVersion: 'SPDX-2.3',
    packages: purls.map((purl) => ({
      externalRefs: [{ referenceType: 'purl', referenceLocator: purl }],
    })),
  };
}

async function find(
  document: unknown,
  ...databases: readonly string[]
): Promise<readonly Vulnerability[]> {
  const index = new AdvisoryIndex();
  for (const path of databases) await readDatabase(path, (advisory) => index.add(advisory));
  return findVulnerabilities(parseSbom(document, 'sbom').packages, index);
}

function write(name: string, value: unknown): string {
  const path = join(dir, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
  return path;
}

const tracker = write('tracker.json', TRACKER);

test('matches a rebuilt binary package by the version of its source', async () => {
  const [found, ...others] = await find(sbom(RUNC), tracker);
  expect(others).toEqual([]);
  expect(found).toMatchObject({
    id: 'CVE-2025-31133',
    severity: 'high',
    fixed: '1.1.15+ds1-2+deb13u1',
    negligible: false,
    package: { name: 'runc', source: { version: '1.1.15+ds1-2' } },
  });
});

test('matches by source package and release, and counts an undetermined state', async () => {
  const found = await find(sbom(LIBC), tracker);
  expect(found.map(({ id, negligible }) => [id, negligible])).toEqual([
    ['CVE-2026-3', false],
    ['CVE-2019-1010022', true],
  ]);
});

function kernel(version: string, upstream: string): string {
  return `pkg:deb/debian/linux-image-cloud-amd64@${version}?arch=amd64&distro=trixie&upstream=${upstream}`;
}

test("matches Debian's signed kernel by the source of the kernel", async () => {
  const fixed = { status: 'resolved', fixed_version: '6.12.119-1', urgency: 'high' };
  const path = write('linux.json', { linux: { 'CVE-2026-4': { releases: { trixie: fixed } } } });
  for (const upstream of ['linux-signed-amd64', 'linux-signed-amd64%406.12.118%2B1', 'linux'])
    expect(await find(sbom(kernel('6.12.118-1', upstream)), path)).toMatchObject([
      { id: 'CVE-2026-4', package: { source: { name: 'linux', version: '6.12.118-1' } } },
    ]);
  expect(await find(sbom(kernel('6.12.119-1', 'linux-signed-amd64')), path)).toEqual([]);
});

test('counts every release if the SBOM names none', async () => {
  const found = await find(sbom('pkg:deb/debian/runc@1.1.15%2Bds1-2%2Bdeb13u1'), tracker);
  expect(found.map(({ id, fixed }) => [id, fixed])).toEqual([['CVE-2025-31133', undefined]]);
});

test('merges the advisories of several databases into one entry', async () => {
  write('osv/DEBIAN-CVE-2025-31133.json', {
    id: 'DEBIAN-CVE-2025-31133',
    upstream: ['CVE-2025-31133'],
    severity: [{ score: 'CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H' }],
    affected: [
      {
        package: { ecosystem: 'Debian:13', name: 'runc' },
        ranges: [
          { type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '1.1.15+ds1-2+deb13u2' }] },
        ],
      },
    ],
  });
  const [found, ...others] = await find(sbom(RUNC), tracker, join(dir, 'osv'));
  expect(others).toEqual([]);
  expect(found).toMatchObject({
    id: 'CVE-2025-31133',
    ids: ['CVE-2025-31133', 'DEBIAN-CVE-2025-31133'],
    severity: 'high',
    fixed: '1.1.15+ds1-2+deb13u2',
  });
});

test('reads components of CycloneDX at every depth, and names those that no database covers', () => {
  const document = {
    bomFormat: 'CycloneDX',
    components: [{ purl: RUNC, components: [{ purl: SYS }, { purl: 'pkg:rpm/fedora/musl@1' }] }],
  };
  const { packages, uncovered } = parseSbom(document, 'sbom');
  expect(packages.map(({ purl }) => purl)).toEqual([RUNC, SYS]);
  expect(uncovered).toEqual(['pkg:rpm/fedora/musl@1']);
});

/** Returns a property of a component by Trivy. */
const trivy = (name: string, value: string): object => ({
  name: `aquasecurity:trivy:${name}`,
  value,
});

describe('a Debian package whose source is not in its URL', () => {
  const purl = 'pkg:deb/debian/libfoo1@2.3-4%2Bb2?arch=amd64&distro=debian-13.1&epoch=1';
  const cyclone = (...properties: readonly object[]): unknown => ({
    bomFormat: 'CycloneDX',
    components: [{ purl, properties }],
  });
  const spdx = (sourceInfo: string): unknown => ({
    spdxVersion: 'SPDX-2.3',
    packages: [{ sourceInfo, externalRefs: [{ referenceType: 'purl', referenceLocator: purl }] }],
  });
  const source = [trivy('SrcName', 'foo'), trivy('SrcVersion', '2.3'), trivy('SrcRelease', '4')];

  test.each([
    ['Trivy', cyclone(...source, trivy('SrcEpoch', '1')), 'foo', '1:2.3-4'],
    ['Trivy without an epoch', cyclone(...source), 'foo', '2.3-4'],
    ['Trivy without a version', cyclone(trivy('SrcName', 'foo')), 'foo', '1:2.3-4'],
    ["Trivy's SPDX", spdx('built package from: foo 1:2.3-4'), 'foo', '1:2.3-4'],
    ['another program', spdx('built by hand'), 'libfoo1', '1:2.3-4'],
  ])('has that of %s', (_who, document, name, version) => {
    const { packages } = parseSbom(document, 'sbom');
    expect(packages).toMatchObject([
      { name: 'libfoo1', version: '1:2.3-4+b2', release: 'trixie', source: { name, version } },
    ]);
  });

  test('is looked up by it', async () => {
    const fixed = { status: 'resolved', fixed_version: '1:2.3-5', urgency: 'high' };
    const path = write('foo.json', { foo: { 'CVE-2026-5': { releases: { trixie: fixed } } } });
    const found = await find(cyclone(...source, trivy('SrcEpoch', '1')), path);
    expect(found.map(({ id }) => id)).toEqual(['CVE-2026-5']);
  });
});

describe('an advisory about several CVEs', () => {
  const dsa = write('dsa/DSA-1.json', {
    id: 'DSA-1',
    upstream: ['CVE-2025-31133', 'CVE-2025-52565'],
    affected: [
      {
        package: { ecosystem: 'Debian:13', name: 'runc' },
        ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed: '9' }] }],
      },
    ],
  });
  const both = [
    ['CVE-2025-31133', 'DSA-1'],
    ['CVE-2025-52565', 'DSA-1'],
  ];

  test('is an entry for each', async () => {
    const found = await find(sbom(RUNC), dsa);
    expect(found.map(({ ids }) => ids)).toEqual(both);
  });

  test.each([{ order: [tracker, dsa] }, { order: [dsa, tracker] }])(
    'joins the entries of other databases: $order',
    async ({ order }) => {
      const found = await find(sbom(RUNC), ...order);
      expect(found.map(({ ids, severity }) => [ids, severity])).toEqual([
        [both[0], 'high'],
        [both[1], 'unknown'],
      ]);
    },
  );

  test('is not excluded by a VEX statement about one of them', async () => {
    const found = await find(sbom(RUNC), dsa);
    const excluded = (name: string): readonly string[] => {
      const products = [{ '@id': 'pkg:deb/debian/runc' }];
      const statement = { vulnerability: { name }, products, status: 'fixed' };
      const statements = parseOpenVex(vex(statement), 'vex.json');
      return found
        .filter((one) => statementFor(one, [], statements) !== undefined)
        .map(({ id }) => id);
    };
    expect(excluded('CVE-2025-31133')).toEqual(['CVE-2025-31133']);
    expect(excluded('DSA-1')).toEqual(['CVE-2025-31133', 'CVE-2025-52565']);
  });

  test('is decided for one of them by the tracker, for a module from a Debian package', async () => {
    const name = 'github.com/opencontainers/runc';
    const records = write('two/GO-2.json', {
      id: 'GO-2',
      aliases: ['CVE-2025-31133', 'CVE-2025-52565'],
      affected: [{ package: { ecosystem: 'Go', name } }],
    });
    const module = `pkg:golang/${name}@v1.1.15`;
    const document = {
      bomFormat: 'CycloneDX',
      components: [{ purl: RUNC_DEV, components: [{ purl: module }] }],
    };
    const found = await find(document, tracker, records);
    expect(found.map((one) => [one.package.purl, one.id])).toEqual([[module, 'CVE-2025-52565']]);
  });

  test('is fixed for the one that the next version has no more', async () => {
    const index = new AdvisoryIndex();
    await readDatabase(dsa, (advisory) => index.add(advisory));
    await readDatabase(
      write('one/DSA-1.json', {
        id: 'DSA-1',
        upstream: ['CVE-2025-52565'],
        affected: [{ package: { ecosystem: 'Debian:13', name: 'runc' } }],
      }),
      (advisory) => index.add(advisory),
    );
    const [before, after] = ['8', '9'].map(
      (version) =>
        parseSbom(sbom(`pkg:deb/debian/runc@${version}?distro=trixie`), 'sbom').packages[0],
    );
    if (before === undefined || after === undefined) throw new Error('no package');
    expect(fixedVulnerabilities(before, after, index).map(({ id }) => id)).toEqual([
      'CVE-2025-31133',
    ]);
  });
});

test.each([
  ['pkg:golang/github.com/Go-Git/go-git@v5.1.0#v5', ['GO-3']],
  ['pkg:golang/github.com/go-git/go-git/v5@v5.1.0', ['GO-3']],
  ['pkg:golang/github.com/go-git/go-git/v5@v5.1.0#plumbing/transport', ['GO-3']],
  ['pkg:golang/github.com/go-git/go-git@v5.1.0#v5/plumbing', ['GO-3']],
  ['pkg:golang/github.com/go-git/go-git@v5.2.0#v5', []],
  ['pkg:golang/github.com/go-git/go-git@v5.1.0#v51', []],
])('matches a Go module whose path may end in the subpath: %s', async (purl, ids) => {
  const path = write('go-git/GO-3.json', {
    id: 'GO-3',
    affected: [
      {
        package: { ecosystem: 'Go', name: 'github.com/go-git/go-git/v5' },
        ranges: [{ type: 'SEMVER', events: [{ introduced: '5.0.0' }, { fixed: '5.2.0' }] }],
      },
    ],
  });
  expect((await find(sbom(purl), path)).map(({ id }) => id)).toEqual(ids);
});

const ownSbom = (document: unknown): SbomDocument => ({ document, isForeign: false });
const foreignSbom = (document: unknown): SbomDocument => ({ document, isForeign: true });

const missing = (of: SbomPackages, document: unknown): readonly string[] => {
  const { packages, uncovered } = missingIn(of, parseSbom(document, 'layers'));
  return [...packages.map(({ purl }) => purl), ...uncovered];
};

describe('a Go module from a Debian package', () => {
  const deb = RUNC_DEV;
  const module = 'pkg:golang/github.com/opencontainers/runc@v1.1.15';
  const other = 'pkg:golang/github.com/opencontainers/runc@v1.1.14';
  const spdx = (...containers: readonly string[]): unknown => ({
    spdxVersion: 'SPDX-2.3',
    packages: [deb, module, 'pkg:oci/x', other].map((purl) => ({
      SPDXID: purl,
      externalRefs: [{ referenceType: 'purl', referenceLocator: purl }],
    })),
    relationships: containers.map((spdxElementId) => ({
      spdxElementId,
      relationshipType: 'CONTAINS',
      relatedSpdxElement: module,
    })),
  });
  const cyclone = {
    bomFormat: 'CycloneDX',
    components: [
      { purl: other },
      { name: 'runc', components: [{ purl: deb, components: [{ purl: module }] }] },
    ],
  };
  const flat = (...refs: readonly string[]): unknown => ({
    bomFormat: 'CycloneDX',
    components: [other, deb, module, 'pkg:oci/x'].map((purl) => ({ 'bom-ref': purl, purl })),
    dependencies: refs.map((ref) => ({ ref, dependsOn: [module] })),
  });
  const records = write('go/GO-1.json', {
    id: 'GO-1',
    aliases: ['CVE-2025-31133'],
    affected: [
      {
        package: { ecosystem: 'Go', name: 'github.com/opencontainers/runc' },
        ranges: [{ type: 'SEMVER', events: [{ introduced: '0' }, { fixed: '1.2.8' }] }],
      },
    ],
  });

  test.each([
    ['SPDX', spdx(deb)],
    ['CycloneDX', cyclone],
    ['CycloneDX with dependencies', flat(deb)],
  ])('is judged by the tracker, which knows patches: %s', async (_what, document) => {
    const found = await find(document, tracker, records);
    expect(found.map((one) => one.package.purl)).toEqual([other]);
  });

  const suppliers = (...documents: readonly unknown[]): unknown =>
    parseSboms(documents.map(ownSbom), 'sboms')
      .packages.find(({ purl }) => purl === module)
      ?.suppliers?.map(({ purl }) => purl);

  test('finds the packages that an SBOM lacks, not those with other qualifiers', () => {
    const own = parseSbom(sbom('pkg:deb/debian/runc@1?arch=amd64&distro=debian-13'), 'own');
    const layers = sbom(
      'pkg:deb/debian/runc@1?distro=trixie',
      'pkg:deb/debian/runc@2?distro=trixie',
      SYS,
    );
    expect(missing(own, layers)).toEqual(['pkg:deb/debian/runc@2?distro=trixie', SYS]);
    expect(missing(parseSbom(layers, 'layers'), sbom('pkg:deb/debian/runc@1?distro=13'))).toEqual(
      [],
    );
    // Under another source package or release, it is looked up elsewhere.
    const item = 'pkg:deb/debian/libc6@1?distro=trixie&upstream=glibc';
    for (const [theirs, isListed] of [
      [item, true],
      ['pkg:deb/debian/libc6@1?upstream=glibc', true],
      ['pkg:deb/debian/libc6@1?distro=sid&upstream=glibc', false],
      ['pkg:deb/debian/libc6@1?distro=trixie&upstream=harmless', false],
      ['pkg:deb/debian/libc6@1?distro=trixie&upstream=glibc%409', false],
    ] as const)
      expect(missing(parseSbom(sbom(theirs), 'theirs'), sbom(item))).toEqual(
        isListed ? [] : [item],
      );
    const apk = 'pkg:apk/alpine/busybox@1?arch=amd64';
    expect(missing(parseSbom(sbom(item), 'theirs'), sbom(apk))).toEqual([apk]);
    expect(missing(parseSbom(sbom('pkg:apk/alpine/busybox@1'), 'own'), sbom(apk))).toEqual([]);
  });

  test('is looked up by each source package that one of several SBOMs states', () => {
    const purl = 'pkg:deb/debian/runc@1?distro=trixie';
    const stated = (source: string): unknown => ({
      spdxVersion: 'SPDX-2.3',
      packages: [
        {
          sourceInfo: `built package from: ${source} 1`,
          externalRefs: [{ referenceType: 'purl', referenceLocator: purl }],
        },
      ],
    });
    for (const documents of [
      [sbom(purl), stated('harmless')],
      [stated('harmless'), sbom(purl)],
    ])
      expect(
        parseSboms(documents.map(ownSbom), 'sboms').packages.map(({ source }) => source.name),
      ).toEqual(expect.arrayContaining(['runc', 'harmless']));
  });

  test('names a component without a type of package that databases know', () => {
    const openssl = 'pkg:generic/openssl@3.5.1';
    expect(parseSbom(sbom(openssl, 'pkg:oci/app@1'), 'sbom').uncovered).toEqual([openssl]);
  });

  test('is any module if one of several SBOMs says so', () => {
    expect(suppliers(spdx(deb), cyclone)).toEqual([deb]);
    expect(suppliers(spdx(deb), spdx(), cyclone)).toBeUndefined();
    expect(parseSboms([sbom(SYS, 'pkg:apk/a@1'), sbom(RUNC)].map(ownSbom), 'sboms')).toMatchObject({
      packages: [{ purl: RUNC }, { purl: SYS }],
      uncovered: ['pkg:apk/a@1'],
    });
  });

  const claims = (documents: readonly SbomDocument[], ...layers: readonly string[]): unknown =>
    parseSboms(documents, 'sboms', parseSbom(sbom(...layers), 'layers'))
      .packages.find(({ purl }) => purl === module)
      ?.suppliers?.map(({ purl }) => purl);

  test('is any module if only foreign SBOMs say otherwise, and the layers lack the packages', () => {
    expect(claims([foreignSbom(spdx(deb))])).toBeUndefined();
    expect(claims([foreignSbom(spdx(deb)), foreignSbom(cyclone)], SYS)).toBeUndefined();
    expect(claims([foreignSbom(spdx(deb))], deb)).toEqual([deb]);
    expect(claims([foreignSbom(spdx(deb))], deb.replace(/@[^?]*/, '@0.1'))).toBeUndefined();
    expect(claims([foreignSbom(spdx(deb))], deb.replace('trixie', 'sid'))).toBeUndefined();
    // One that agrees with an own SBOM changes nothing.
    expect(claims([ownSbom(spdx(deb)), foreignSbom(spdx(deb))])).toEqual([deb]);
    expect(claims([ownSbom(spdx(deb)), foreignSbom(spdx())])).toBeUndefined();
    expect(claims([ownSbom(spdx()), foreignSbom(spdx(deb))], deb)).toBeUndefined();
  });

  test('has no supplier about which a foreign SBOM states another source package', () => {
    const text = JSON.stringify(spdx(deb)).replaceAll('&upstream=runc', '');
    const stated = JSON.parse(text) as { packages: { SPDXID: string; sourceInfo?: string }[] };
    for (const item of stated.packages)
      if (item.SPDXID.startsWith('pkg:deb/')) item.sourceInfo = 'built package from: harmless 1';
    const { packages } = parseSboms([ownSbom(JSON.parse(text)), foreignSbom(stated)], 'sboms');
    expect(packages.find(({ purl }) => purl === module)?.suppliers).toBeUndefined();
  });

  test.each([
    ['the tracker does not know the vulnerability', spdx(deb), [records]],
    ['it also came from elsewhere', spdx(deb, 'pkg:oci/x'), [tracker, records]],
    ['nothing says where it came from', spdx(), [tracker, records]],
    ['it also came from elsewhere, in CycloneDX', flat(deb, 'pkg:oci/x'), [tracker, records]],
    ['nothing says where it came from, in CycloneDX', flat(), [tracker, records]],
  ])('counts as any module if %s', async (_what, document, databases) => {
    const found = await find(document, ...databases);
    expect(found.map((one) => one.package.purl)).toEqual([other, module]);
  });
});

test('rejects a document that is no SBOM', () => {
  expect(() => parseSbom({ name: 'x' }, 'x.json')).toThrow(
    'x.json is neither SPDX 2 nor CycloneDX JSON',
  );
});

test.each([
  ['truncated.json', '{"id": "X"'],
  ['list.json', '[1]'],
  ['other.json', '{"name": "x"}'],
  ['empty.zip', 'PK'],
])('rejects the database %s', async (name, text) => {
  const path = write(name, text);
  await expect(readDatabase(path, () => {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

function vex(...statements: readonly object[]): unknown {
  return {
    '@context': 'https://openvex.dev/ns/v0.2.0',
    timestamp: '2026-01-01T00:00:00Z',
    statements,
  };
}

describe('statementFor', () => {
  const statement = {
    vulnerability: { name: 'CVE-2025-31133' },
    products: [{ '@id': 'pkg:deb/debian/runc' }],
    status: 'not_affected',
    justification: 'vulnerable_code_not_in_execute_path',
  };
  const status = async (document: unknown): Promise<string | undefined> => {
    const [found] = await find(sbom(RUNC), tracker);
    if (found === undefined) throw new Error('nothing was found');
    return statementFor(found, [IMAGE], parseOpenVex(document, 'vex.json'))?.status;
  };

  test('matches a package URL without version and qualifiers', async () => {
    expect(await status(vex(statement))).toBe('not_affected');
  });

  test.each([
    ['another version', { products: [{ '@id': 'pkg:deb/debian/runc@1.0' }] }],
    ['another distribution', { products: [{ '@id': 'pkg:deb/debian/runc?distro=bookworm' }] }],
    ['another vulnerability', { vulnerability: { name: 'CVE-2025-1' } }],
    [
      'another part of the image',
      { products: [{ '@id': IMAGE, subcomponents: [{ '@id': SYS }] }] },
    ],
  ])('does not match %s', async (_, change) => {
    expect(await status(vex({ ...statement, ...change }))).toBeUndefined();
  });

  test('matches the image, and its part', async () => {
    expect(await status(vex({ ...statement, products: [{ '@id': IMAGE }] }))).toBe('not_affected');
    const products = [{ '@id': 'pkg:oci/runc', subcomponents: [{ identifiers: { purl: RUNC } }] }];
    expect(await status(vex({ ...statement, products }))).toBe('not_affected');
  });

  test('prefers the latest statement', async () => {
    const later = { ...statement, status: 'affected', timestamp: '2026-02-01T00:00:00Z' };
    expect(await status(vex(later, statement))).toBe('affected');
  });

  test.each([
    ['no reason', { justification: undefined }, 'statement 1 gives no reason'],
    ['no product', { products: [] }, 'statement 1 names no product'],
    ['an unknown status', { status: 'fine' }, 'statement 1 has no valid status'],
    ['no vulnerability', { vulnerability: {} }, 'statement 1 names no vulnerability'],
    [
      'one part instead of a list of parts',
      { products: [{ '@id': IMAGE, subcomponents: { '@id': SYS } }] },
      'statement 1 has subcomponents that are not a list',
    ],
  ])('rejects a statement with %s', (_, change, message) => {
    expect(() => parseOpenVex(vex({ ...statement, ...change }), 'vex.json')).toThrow(message);
  });
});

test('an index returns advisories of that package only', () => {
  const index = new AdvisoryIndex();
  const advisory: Advisory = {
    id: 'GO-1',
    aliases: [],
    summary: '',
    severity: 'low',
    affected: [{ ecosystem: 'go', name: 'golang.org/x/sys', ranges: [{}], versions: [] }],
  };
  index.add(advisory);
  const { packages } = parseSbom(sbom(SYS, RUNC), 'sbom');
  expect(packages.map((item) => index.about(item).length)).toEqual([0, 1]);
});
