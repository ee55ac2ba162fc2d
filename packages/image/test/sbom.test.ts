import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { debComponent, imageComponent, spdxOf, type SpdxDocument, writeSbom } from '@lkt/attest';
import type { Digest, Reporter } from '@lkt/core';
import { type Descriptor, loadImage, type Store, writeReferrer } from '@lkt/oci';
import { expect, test } from 'vitest';
import { composeImage } from '../src/index.ts';
import type { ComposeOptions } from '../src/compose-options.ts';
import { image, PLATFORM, tempDir, tempStore } from './support.ts';

const APK = 'P:musl\nV:1.2.5-r9\nA:x86_64\n';

/** Attaches an SBOM with one Debian package to the image `lkt/described`. */
async function attachSbom(store: Store, subject: Descriptor, name: string): Promise<void> {
  const deb = debComponent({ name, version: '5.2', architecture: 'amd64' });
  const document = spdxOf({
    image: imageComponent('lkt/described', subject.digest, PLATFORM),
    contents: [{ component: deb }],
    generatedFrom: [],
    buildTools: [],
  });
  await store.addReferrer(await writeSbom(store, subject, document));
}

/** Returns a config with two containers: one image has an SBOM, the other a package database. */
async function config(store: Store): Promise<string> {
  const described = await image(store, [{ 'bin/': '', 'bin/a': 'a' }]);
  const { descriptor } = await loadImage(store, described, PLATFORM);
  await attachSbom(store, descriptor, 'bash');
  const alpine = await image(store, [
    { 'etc/': '', 'etc/os-release': 'ID=alpine\n', 'lib/apk/db/installed': APK },
  ]);
  return `services:
  - name: one
    image: lkt/described:1@${described}
    command: [/a]
  - name: two
    image: other/alpine:1@${alpine}
    command: [/a]
  - name: three
    image: other/alpine:1@${alpine}
    command: [/a]
`;
}

async function compose(
  store: Store,
  text: string,
  sbom?: ComposeOptions['sbom'],
  reporter?: Reporter,
): Promise<{ tar: Buffer; sbom: () => Buffer; inTar: (path: string) => Buffer }> {
  const outDir = tempDir();
  await composeImage({
    configs: [{ path: 'system.yml', text }],
    store,
    format: ['tar'],
    outDir,
    name: 'system',
    platform: PLATFORM,
    sbom,
    ...(reporter && { reporter }),
  });
  const tar = join(outDir, 'system.tar');
  return {
    tar: readFileSync(tar),
    sbom: () => readFileSync(join(outDir, 'system-sbom.spdx.json')),
    inTar: (path) => execFileSync('tar', ['--warning=no-unknown-keyword', '-xOf', tar, path]),
  };
}

test("merges the images' SBOMs, and scans images without one", async () => {
  const store = await tempStore();
  const text = await config(store);
  const made = await compose(store, text, {});
  const document = JSON.parse(made.sbom().toString()) as SpdxDocument;
  expect(document.packages.map(({ name }) => name).toSorted()).toEqual([
    'bash',
    'docker.io/lkt/described:1',
    'docker.io/other/alpine:1',
    'musl',
    'system',
  ]);
  expect(
    document.relationships.filter((item) => item.relationshipType === 'CONTAINS'),
  ).toHaveLength(4);
  // Equal from another store; the image has no SBOM unless requested.
  const other = await tempStore();
  expect(await config(other)).toBe(text);
  expect((await compose(other, text, {})).sbom().equals(made.sbom())).toBe(true);
  expect((await compose(store, text)).tar.equals(made.tar)).toBe(true);
});

test('lists what the layers show besides an SBOM that others attached', async () => {
  const store = await tempStore();
  const status = 'Package: runc\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n';
  const digest = await image(store, [
    { 'etc/': '', 'etc/os-release': 'ID=debian\nVERSION_ID="13"\n', 'var/lib/dpkg/status': status },
  ]);
  const { descriptor } = await loadImage(store, digest, PLATFORM);
  const runc = 'pkg:deb/debian/runc@1?arch=amd64&distro=debian-13';
  const purls = [
    runc,
    'pkg:deb/debian/other@1?distro=debian-13',
    'pkg:golang/example.org/m@v1.0.0',
  ];
  const [, deb, module] = ['SPDXRef-runc', 'SPDXRef-other', 'SPDXRef-module'];
  const claim = {
    spdxVersion: 'SPDX-2.3',
    packages: ['SPDXRef-runc', deb, module].map((SPDXID, index) => ({
      SPDXID,
      name: SPDXID,
      sourceInfo: 'built package from: harmless 1',
      externalRefs: [{ referenceType: 'purl', referenceLocator: purls[index] }],
    })),
    relationships: [
      ['SPDXRef-DOCUMENT', 'DESCRIBES', deb],
      [deb, 'CONTAINS', module],
    ].map(([spdxElementId, relationshipType, relatedSpdxElement]) => ({
      spdxElementId,
      relationshipType,
      relatedSpdxElement,
    })),
  };
  const text = `services: [{name: one, image: "team/app:1@${digest}", command: [/a]}]`;
  const named = async (): Promise<readonly unknown[]> => {
    const { packages } = JSON.parse((await compose(store, text, {})).sbom().toString());
    return (packages as SpdxDocument['packages']).flatMap(({ externalRefs = [], sourceInfo }) =>
      externalRefs
        .filter(({ referenceLocator }) => referenceLocator.startsWith(runc))
        .map(() => sourceInfo),
    );
  };
  const before = await named();
  expect(before).toHaveLength(1);
  await store.addReferrer(await writeSbom(store, descriptor, claim as never));
  expect(await named()).toEqual(before);
  const { packages, relationships } = JSON.parse(
    (await compose(store, text, {})).sbom().toString(),
  ) as SpdxDocument;
  expect(packages.map(({ name }) => name)).toEqual(expect.arrayContaining([deb, module]));
  // Its claim that a module is only in a Debian package does not count.
  const containers = relationships
    .filter((one) => one.relationshipType === 'CONTAINS' && one.relatedSpdxElement === module)
    .map(({ spdxElementId }) => packages.find((one) => one.SPDXID === spdxElementId)?.name);
  expect(new Set(containers)).toEqual(new Set([deb, 'system']));
});

test('loses no package to an SBOM that others attached to an image', async () => {
  const store = await tempStore();
  const text = await config(store);
  const described = /described:1@(\S+)/.exec(text)?.[1] as Digest;
  const { descriptor } = await loadImage(store, described, PLATFORM);
  // They are read in the order of their digests.
  for (let number = 0; number < 8; number += 1)
    await attachSbom(store, descriptor, `other${number}`);
  const made = await compose(store, text, {});
  const { packages } = JSON.parse(made.sbom().toString()) as SpdxDocument;
  const names = packages.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['bash', 'other0', 'other7', 'musl']));
  expect(names.filter((name) => name === 'docker.io/lkt/described:1')).toHaveLength(1);
});

test('takes a signed one as it is, instead of the layers', async () => {
  const store = await tempStore();
  const digest = await image(store, [
    { 'etc/': '', 'etc/os-release': 'ID=alpine\n', 'lib/apk/db/installed': APK },
  ]);
  const { descriptor } = await loadImage(store, digest, PLATFORM);
  const document = spdxOf({
    image: imageComponent('team/app', descriptor.digest, PLATFORM),
    contents: [{ component: debComponent({ name: 'bash', version: '1', architecture: 'amd64' }) }],
    generatedFrom: [],
    buildTools: [],
  });
  // The same document beside the image counts once.
  await store.addReferrer(await writeSbom(store, descriptor, document));
  const text = `services: [{name: one, image: "team/app:1@${digest}", command: [/a]}]`;
  const names = async (...signed: readonly unknown[]): Promise<readonly string[]> => {
    const made = await compose(store, text, { signed: async () => signed });
    const { packages } = JSON.parse(made.sbom().toString()) as SpdxDocument;
    return packages.map(({ name }) => name);
  };
  expect(await names()).toEqual(expect.arrayContaining(['bash', 'musl']));
  expect(await names({ bomFormat: 'CycloneDX' })).toEqual(await names());
  expect(await names(document)).toEqual(['bash', 'system', 'team/app']);
});

test('is in the image if requested', async () => {
  const store = await tempStore();
  const text = await config(store);
  const made = await compose(store, text, { path: '/usr/share/sbom.spdx.json' });
  expect(made.inTar('usr/share/sbom.spdx.json').equals(made.sbom())).toBe(true);
  expect(made.inTar('usr/share/lkt/manifest').toString()).toMatch(
    / \d+ usr\/share\/sbom\.spdx\.json$/m,
  );
  for (const path of ['', '/', '../x', 'a//b', 'a/./b'])
    await expect(compose(store, text, { path })).rejects.toMatchObject({ code: 'USAGE_INVALID' });
});

test('rejects a damaged one', async () => {
  const store = await tempStore();
  const text = await config(store);
  const digest = text.match(/described:1@(sha256:[0-9a-f]+)/)?.[1] ?? '';
  const { descriptor } = await loadImage(store, digest as never, PLATFORM);
  const known = new Map([[descriptor.digest, await writeSbom(store, descriptor, {} as never)]]);
  await expect(compose(store, text, { known })).rejects.toMatchObject({
    code: 'IMAGE_INVALID',
    message: expect.stringContaining('the SBOM of lkt/described:1'),
  });
});

test('warns of a broken one that others attached, and lists what the layers show', async () => {
  const store = await tempStore();
  const digest = await image(store, [
    { 'etc/': '', 'etc/os-release': 'ID=alpine\n', 'lib/apk/db/installed': APK },
  ]);
  const { descriptor: subject } = await loadImage(store, digest, PLATFORM);
  const text = `services: [{name: one, image: "team/app:1@${digest}", command: [/a]}]`;
  const make = async (
    signed: readonly unknown[] = [],
  ): Promise<{ readonly warnings: readonly string[]; readonly sbom: string }> => {
    const warnings: string[] = [];
    const reporter: Reporter = {
      emit: (event) => {
        if (event.kind === 'warning') warnings.push(event.text);
      },
    };
    const options = { signed: async () => signed, path: '/sbom', formats: ['spdx'] as const };
    const made = await compose(store, text, options, reporter);
    return { warnings, sbom: made.sbom().toString() };
  };
  const before = await make();
  expect(before.sbom).toContain('musl');
  const artifactType = 'application/spdx+json';
  const attach = async (content: string, exists = true): Promise<string> => {
    const blob = await store.writeBytes(Buffer.from(content));
    const layers = [{ mediaType: artifactType, ...blob }];
    const referrer = await writeReferrer(store, { subject, artifactType, layers });
    await store.addReferrer(referrer);
    if (!exists) rmSync(store.blobPath(blob.digest));
    return `the SBOM ${referrer.digest}, which others attached to team/app:1, is not used: `;
  };
  const packages = '"packages":[{"SPDXID":"a","name":"a"';
  const start = `{"spdxVersion":"SPDX-2.3","relationships":[],${packages}`;
  const expected = [
    `${await attach('{')}not a valid SPDX document: `,
    `${await attach('{"spdxVersion":"SPDX-2.2"}')}not a valid SPDX document: spdxVersion is not`,
    `${await attach(`${start},"supplier":1}]}`)}not a valid SPDX document: supplier of an entry`,
    `${await attach(`${start},"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}]}`)}not a valid SPDX`,
    `${await attach(`${start}}]}`, false)}blob `,
  ];
  const after = await make();
  expect(after.sbom).toBe(before.sbom);
  expect(after.warnings.toSorted()).toEqual(
    expected.toSorted().map((one) => expect.stringContaining(one) as string),
  );
  // Nothing of it is cached.
  expect((await make()).warnings).toHaveLength(expected.length);
  await attach('[');
  await attach('"');
  expect((await make()).warnings).toContain(
    '2 more SBOMs that others attached to team/app:1 cannot be used',
  );
  // One that policies accept is not passed over.
  await expect(make([{ spdxVersion: 'SPDX-2.3', packages: [{}] }])).rejects.toMatchObject({
    code: 'IMAGE_INVALID',
    message: expect.stringContaining('the SBOM of team/app:1 is not a valid SPDX document: '),
  });
});
