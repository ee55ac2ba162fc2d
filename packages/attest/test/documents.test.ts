import { canonicalJson, digestOf } from '@lkt/core';
import { MediaType } from '@lkt/oci';
import { expect, test } from 'vitest';
import {
  type Component,
  contentsOf,
  debComponent,
  findAttestations,
  imageComponent,
  mergeSpdx,
  packageUrl,
  parseSpdx,
  provenanceOf,
  readAttestation,
  type SpdxDocument,
  spdxOf,
  writeProvenance,
  writeSbom,
} from '../src/index.ts';
import { EXAMPLE } from './example-sbom.ts';
import { withStore } from './support.ts';

const IMAGE = digestOf('image');
const DEB = debComponent({
  name: 'libstdc++6',
  version: '1:14.2.0-19',
  architecture: 'amd64',
  suite: 'trixie',
  digest: digestOf('deb'),
  source: 'gcc-14',
  fileName: 'debian/pool/main/g/gcc-14/libstdc++6_14.2.0-19_amd64.deb',
});
const SOURCE: Component = { kind: 'source', name: 'lkt/app', digest: digestOf('context') };
const BASE = imageComponent('lkt/base', digestOf('base'));
const TOOL = imageComponent('lkt/tool', digestOf('tool'));

function exampleSbom(paths?: readonly string[]): SpdxDocument {
  return spdxOf({
    image: imageComponent('lkt/app', IMAGE, { os: 'linux', architecture: 'amd64' }),
    contents: [{ component: DEB, paths, parts: [] }],
    generatedFrom: [SOURCE],
    base: BASE,
    buildTools: [TOOL],
  });
}

/**
 * Checks the requirements of SPDX 2.3, schema and text: required fields, the syntax of ids,
 * enumerated values, and that relationships name existing elements.
 */
function checkSpdx(document: SpdxDocument): void {
  const { hasExtractedLicensingInfos: licenses = [], ...rest } = document;
  expect(Object.keys(rest).toSorted()).toEqual([
    'SPDXID',
    'creationInfo',
    'dataLicense',
    'documentNamespace',
    'name',
    'packages',
    'relationships',
    'spdxVersion',
  ]);
  expect(document).toMatchObject({
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
  });
  // 6.5: an absolute URI without "#".
  expect(new URL(document.documentNamespace).hash).toBe('');
  // 6.9: ISO 8601 in UTC to the second; 6.8: a creator of one of three kinds.
  expect(document.creationInfo?.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  for (const creator of document.creationInfo?.creators ?? [''])
    expect(creator).toMatch(/^(?:Tool|Person|Organization): \S/);
  const ids = new Set(['SPDXRef-DOCUMENT']);
  for (const item of document.packages) {
    // 3.2 of the spec: letters, digits, "." and "-".
    expect(item.SPDXID).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/);
    expect(ids).not.toContain(item.SPDXID);
    ids.add(item.SPDXID);
    expect(item.name).not.toBe('');
    expect(item.downloadLocation).toMatch(/^(?:NOASSERTION|NONE|[a-z+]+:.+)$/);
    for (const { algorithm, checksumValue } of item.checksums ?? [])
      expect(`${algorithm} ${checksumValue}`).toMatch(/^SHA256 [0-9a-f]{64}$/);
    for (const { referenceCategory, referenceType, referenceLocator } of item.externalRefs ?? [])
      expect(`${referenceCategory} ${referenceType} ${referenceLocator}`).toMatch(
        /^(?:PACKAGE-MANAGER purl pkg:[a-z]+\/[^\s@]+(?:@[^\s@?]+)?(?:\?[^\s?]+)?|SECURITY cpe23Type cpe:2\.3:[ao]:\S+)$/,
      );
  }
  // 10.1: each id once. Annex D: an expression names only licences of SPDX and those.
  const references = licenses.map(({ licenseId }) => licenseId);
  expect(new Set(references).size).toBe(references.length);
  for (const id of references) expect(id).toMatch(/^LicenseRef-[A-Za-z0-9.-]+$/);
  for (const { licenseConcluded = '', licenseDeclared = '' } of document.packages)
    for (const [id] of `${licenseConcluded} ${licenseDeclared}`.matchAll(/LicenseRef-[^\s()]+/g))
      expect(references).toContain(id);
  for (const { spdxElementId, relatedSpdxElement, relationshipType } of document.relationships) {
    expect(ids).toContain(spdxElementId);
    expect(ids).toContain(relatedSpdxElement);
    expect([
      'BUILD_TOOL_OF',
      'CONTAINS',
      'DESCENDANT_OF',
      'DESCRIBES',
      'GENERATED_FROM',
      'STATIC_LINK',
      'VARIANT_OF',
    ]).toContain(relationshipType);
  }
  expect(
    document.relationships.filter((item) => item.relationshipType === 'DESCRIBES'),
  ).toHaveLength(1);
}

test('an SBOM meets SPDX 2.3 and is the same bytes each time', () => {
  const document = exampleSbom();
  checkSpdx(document);
  expect(document.creationInfo?.created).toBe('2017-04-18T16:30:00Z');
  const app = document.packages.find(({ name }) => name === 'lkt/app')?.SPDXID;
  expect(app).toBeDefined();
  expect(document.packages.find(({ name }) => name === 'libstdc++6')).toMatchObject({
    versionInfo: '1:14.2.0-19',
    checksums: [{ algorithm: 'SHA256', checksumValue: digestOf('deb').slice(7) }],
    supplier: 'Organization: Debian',
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: 'NOASSERTION',
    externalRefs: [
      { referenceLocator: 'cpe:2.3:a:*:gcc-14:14.2.0:*:*:*:*:*:*:*' },
      {
        referenceLocator:
          'pkg:deb/debian/libstdc%2B%2B6@1%3A14.2.0-19?arch=amd64&distro=trixie&upstream=gcc-14',
      },
    ],
  });
  expect(document.relationships.map((item) => item.relationshipType).toSorted()).toEqual([
    'BUILD_TOOL_OF',
    'CONTAINS',
    'DESCENDANT_OF',
    'DESCRIBES',
    'GENERATED_FROM',
  ]);
  expect(digestOf(canonicalJson(document))).toBe(
    'sha256:62efe3879ca0c5cf1a6c36d66961442d9fcd779c633e63ead0b89fc679a9ae03',
  );
  expect(exampleSbom(['a']).documentNamespace).not.toBe(document.documentNamespace);
});

test('a merged SBOM lists a shared package once and keeps another tool’s package', () => {
  const other = {
    ...exampleSbom(['usr/bin/x']),
    packages: exampleSbom().packages.map((item) => ({ ...item, comment: 'of another tool' })),
  };
  const whole: Component = { kind: 'image', name: 'system' };
  const merged = mergeSpdx(whole, [exampleSbom(), exampleSbom(['usr/bin/x']), other]);
  checkSpdx(merged);
  expect(merged.packages.filter(({ name }) => name === 'libstdc++6')).toHaveLength(2);
  expect(mergeSpdx(whole, [exampleSbom(['usr/bin/x']), exampleSbom(), other])).toEqual(merged);
  expect(parseSpdx(Buffer.from(JSON.stringify(merged)))).toEqual(merged);
  for (const text of ['', '{}', '{"spdxVersion":"SPDX-2.3","packages":[{}],"relationships":[]}'])
    expect(() => parseSpdx(Buffer.from(text))).toThrow(/not a valid SPDX document/);
});

test('lists the texts of licences that SPDX has not, once for the whole', () => {
  const document = spdxOf(EXAMPLE);
  checkSpdx(document);
  const id = 'LicenseRef-copyright-0123456789abcdef';
  expect(document.packages.find(({ name }) => name === 'libstdc++6')).toMatchObject({
    licenseConcluded: `GPL-3.0-or-later AND ${id}`,
    licenseDeclared: id,
  });
  const infos = [{ licenseId: id, extractedText: 'The terms' }];
  expect(document.hasExtractedLicensingInfos).toEqual(infos);
  const read = contentsOf(parseSpdx(Buffer.from(canonicalJson(document))));
  const [whole] = EXAMPLE.contents;
  const same = read.find(({ component }) => component.name === 'libstdc++6');
  expect(same?.component).toEqual(whole?.component);
  expect(same?.parts).toEqual(
    expect.arrayContaining((whole?.parts ?? []).map((part) => expect.objectContaining(part))),
  );
  // Another tool uses the same id for another text.
  const other = {
    ...document,
    hasExtractedLicensingInfos: [{ licenseId: id, extractedText: 'Other' }],
  };
  const merged = mergeSpdx({ kind: 'image', name: 'system' }, [document, document, other]);
  checkSpdx(merged);
  const renamed = merged.hasExtractedLicensingInfos?.find(
    ({ extractedText: text }) => text === 'Other',
  );
  expect(merged.hasExtractedLicensingInfos).toHaveLength(2);
  const found = merged.packages.filter(({ name }) => name === 'libstdc++6');
  expect(new Set(found.map(({ licenseDeclared }) => licenseDeclared))).toEqual(
    new Set([id, renamed?.licenseId]),
  );
  expect(() =>
    parseSpdx(Buffer.from(JSON.stringify({ ...document, hasExtractedLicensingInfos: [{}] }))),
  ).toThrow(/not a valid SPDX document/);
});

test('provenance lists its inputs sorted and nothing of the machine', () => {
  const inputs = {
    subjects: [{ name: 'lkt/app', digest: IMAGE }],
    parameters: {
      package: 'lkt/app',
      platforms: ['linux/amd64'],
      network: false,
      secrets: ['token'],
    },
    dependencies: [
      { name: 'context', digest: { sha256: 'b' } },
      { name: 'Dockerfile', digest: { sha256: 'a' } },
      { name: 'context', digest: { sha256: 'b' } },
    ],
  };
  const statement = provenanceOf(inputs);
  expect(statement).toEqual({
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'lkt/app', digest: { sha256: IMAGE.slice(7) } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: expect.stringMatching(/^https:/),
        externalParameters: inputs.parameters,
        internalParameters: { engineEpoch: 1, sourceDateEpoch: 1_492_533_000 },
        resolvedDependencies: [inputs.dependencies[1], inputs.dependencies[0]],
      },
      runDetails: { builder: { id: expect.stringMatching(/^https:/) } },
    },
  });
  expect(digestOf(canonicalJson(statement))).toBe(
    'sha256:3e0d4c8e73b5e5c827063dd373ec2c60eaef04a770b666c8ae95ce383753aad0',
  );
});

test('package URLs escape reserved characters', () => {
  expect(
    packageUrl({
      type: 'oci',
      name: 'a b',
      version: 'sha256:0',
      qualifiers: { b: 'x/y', a: undefined },
    }),
  ).toBe('pkg:oci/a%20b@sha256%3A0?b=x/y');
});

test('finds and reads the documents of an image by kind', async () => {
  await withStore(async (store) => {
    const subject = { mediaType: MediaType.ociManifest, digest: IMAGE, size: 5 };
    const sbom = await writeSbom(store, subject, exampleSbom());
    const statement = provenanceOf({
      subjects: [{ name: 'lkt/app', digest: IMAGE }],
      parameters: { package: 'lkt/app', platforms: [] },
      dependencies: [],
    });
    const provenance = await writeProvenance(store, subject, statement);
    await store.addReferrer(sbom, provenance);
    expect(sbom.artifactType).toBe('application/spdx+json');
    expect(provenance).toMatchObject({
      artifactType: 'application/vnd.in-toto+json',
      annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v1' },
    });
    expect(await findAttestations(store, IMAGE, 'sbom')).toEqual([sbom]);
    expect(await findAttestations(store, IMAGE, 'provenance')).toEqual([provenance]);
    expect(JSON.parse(String(await readAttestation(store, sbom)))).toEqual(exampleSbom());
  });
});
