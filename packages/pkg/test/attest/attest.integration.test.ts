import { readFile as readHostFile, stat, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { findAttestations, readAttestation, type SpdxDocument } from '@lkt/attest';
import type { BuildContext, BuildRequest, Engine } from '@lkt/builder';
import { digestHex, digestOf, silentReporter } from '@lkt/core';
import {
  type Descriptor,
  flatten,
  layersOf,
  loadImage,
  openStore,
  readFile,
  SOURCE_DATE_EPOCH,
  type Store,
  writeImage,
  writeLayer,
} from '@lkt/oci';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildPackages } from '../../src/build/build.ts';
import type { BuiltPackage } from '../../src/build/built-package.ts';
import { lockPackage } from '../../src/debian/lock.ts';
import { storedAttestations } from '../../src/attest/stored-attestations.ts';
import { openWorkspace } from '../../src/workspace/workspace.ts';
import { checkout, commit, ENV, git, temporary, write } from '../../../git/test/checkout.ts';
import { type DebianArchive, debianArchive } from '../debian-archive.ts';

const SECRET = 'correct horse battery staple';
const PLATFORM = { os: 'linux', architecture: 'amd64' };

let archive: DebianArchive;

beforeAll(async () => {
  archive = await debianArchive();
});

afterAll(() => archive[Symbol.asyncDispose]());

/**
 * Does what `COPY --from` does: copies a file of the first image in the Dockerfile under a new
 * name.
 */
class CopyEngine implements Engine {
  builds = 0;

  async build(request: BuildRequest, { store }: BuildContext): Promise<Descriptor> {
    this.builds += 1;
    const [base] = request.bases.values();
    if (base === undefined) throw new Error('there is no base');
    const image = await loadImage(store, base, request.platform);
    const { manifest } = image;
    const tree = await flatten(store, layersOf(image));
    const data = await readFile(store, manifest.layers, tree, 'usr/share/app/version', 4096);
    const layer = await writeLayer(store, [
      {
        path: 'copied',
        type: 'file',
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: SOURCE_DATE_EPOCH,
        size: data.length,
        content: (async function* content(): AsyncGenerator<Uint8Array> {
          yield data;
        })(),
      },
    ]);
    const { platform } = request;
    return writeImage(store, { config: {}, layers: [layer], platform });
  }
}

const FILES = {
  'tools/base/build.yml':
    'org: lkt\nimage: base\narches: [amd64]\ndebian:\n  suite: trixie\n  packages: [app]\n',
  'tools/unused/build.yml':
    'org: lkt\nimage: unused\narches: [amd64]\ndebian:\n  suite: trixie\n  packages: [tool]\n',
  'pkg/copy/build.yml':
    'org: lkt\nimage: copy\narches: [amd64]\nsecrets: [token]\nbuildArgs:\n  - BASE=@lkt:pkg:../../tools/base\n  - UNUSED=@lkt:pkg:../../tools/unused\n',
  'pkg/copy/Dockerfile':
    'ARG BASE\nARG UNUSED\nFROM ${BASE} AS base\nFROM ${UNUSED} AS tool\nFROM scratch\nCOPY --from=base /usr/share/app/version /copied\nCOPY --from=tool /output /output\nADD --checksum=sha256:' +
    'a'.repeat(64) +
    ' https://example.org/file /\n',
  'pkg/copy/file': 'source',
};

const COPYRIGHT = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: Expat and custom
 Do what you like.
`;

async function prepare(path: string, store: Store): Promise<void> {
  const more = {
    control: 'Static-Built-Using: glibc (= 2.41-12)\n',
    files: { 'usr/share/doc/app/copyright': COPYRIGHT },
  };
  await archive.publish({ app: ['1.0', 'lib', more], lib: ['2.0'], tool: ['3.0'] });
  const workspace = await openWorkspace(path, { env: ENV });
  for (const dir of ['tools/base', 'tools/unused'])
    await lockPackage(workspace, await workspace.packageAt(dir), {
      store,
      mirror: async () => archive.mirror,
      reporter: silentReporter,
      keyrings: [archive.keyring],
    });
}

async function build(
  path: string,
  store: Store,
  engine: Engine = new CopyEngine(),
  attest?: boolean,
  name = 'lkt/copy',
): Promise<BuiltPackage> {
  const workspace = await openWorkspace(path, { env: ENV });
  const target = workspace.get(name);
  const { packages } = await buildPackages(workspace, [target], {
    store,
    engine,
    mirror: async () => archive.mirror,
    reporter: silentReporter,
    ...(attest !== undefined && { attest }),
    run: { secrets: new Map([['token', { kind: 'env', value: SECRET }]]) },
  });
  const built = packages.find(({ item }) => item === target);
  if (built === undefined) throw new Error('nothing was built');
  return built;
}

async function sbomOf(store: Store, { attestations }: BuiltPackage): Promise<SpdxDocument> {
  const [image] = attestations?.images ?? [];
  if (image === undefined) throw new Error('there is no image');
  return JSON.parse(String(await readAttestation(store, image.sbom))) as SpdxDocument;
}

/** Formats relationships as `FROM TYPE TO`, with names. */
function relations({ packages, relationships }: SpdxDocument): string[] {
  const names = new Map(packages.map((item) => [item.SPDXID, item.name]));
  return relationships
    .map(({ spdxElementId, relationshipType, relatedSpdxElement }) =>
      [
        names.get(spdxElementId) ?? 'document',
        relationshipType,
        names.get(relatedSpdxElement),
      ].join(' '),
    )
    .toSorted();
}

it('lists the .debs of the files in an image, and the build tools', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await prepare(repo.path, store);
  const built = await build(repo.path, store);
  const document = await sbomOf(store, built);
  expect(relations(document)).toEqual([
    'app STATIC_LINK glibc',
    'document DESCRIBES lkt/copy',
    'lkt/copy CONTAINS app',
    'lkt/copy GENERATED_FROM lkt/base',
    'lkt/copy GENERATED_FROM lkt/copy',
    'lkt/unused BUILD_TOOL_OF lkt/copy',
  ]);
  const lock = await readHostFile(`${repo.path}/tools/base/debian.lock`, 'utf8');
  const [, deb] = /^app .* sha256:([0-9a-f]{64})$/m.exec(lock) ?? [];
  expect(document.packages.find(({ name }) => name === 'app')).toMatchObject({
    versionInfo: '1.0',
    checksums: [{ algorithm: 'SHA256', checksumValue: deb }],
    licenseDeclared: expect.stringMatching(/^LicenseRef-custom-[0-9a-f]{16} AND MIT$/),
  });
  expect(document.hasExtractedLicensingInfos).toMatchObject([
    { name: 'custom', extractedText: 'Do what you like.' },
  ]);
  expect(document.relationships.find(({ comment }) => comment !== undefined)?.comment).toBe(
    '/copied',
  );
});

it('lists the .debs also if a build that took the base from the store described the image before', async () => {
  await using theirs = await checkout({
    ...FILES,
    'pkg/copy/build.yml': 'org: lkt\nimage: copy\narches: [amd64]\n',
    'pkg/copy/Dockerfile': 'FROM scratch\n',
  });
  await using mine = await checkout({
    'lkt.yml': `collections: { lkt: { source: "path:../${basename(theirs.path)}", registry: r.example/lkt } }\n`,
  });
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await prepare(theirs.path, store);
  commit(theirs.path);
  const base = await build(theirs.path, store, new CopyEngine(), true, 'lkt/base');
  const pin = `${base.references[0]?.replace('docker.io/', '')}@${base.index.digest}`;
  await write(theirs.path, {
    'pkg/copy/Dockerfile': `FROM ${pin} AS base\nFROM scratch\nCOPY --from=base /usr/share/app/version /copied\n`,
  });
  commit(theirs.path);
  const taken = await build(mine.path, store);
  expect(relations(await sbomOf(store, taken))).not.toContain('lkt/copy CONTAINS app');
  const built = await build(theirs.path, store);
  expect(built.index).toEqual(taken.index);
  expect(relations(await sbomOf(store, built))).toContain('lkt/copy CONTAINS app');
});

it('lists all .debs of an image made from Debian packages, with digests in the provenance', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await prepare(repo.path, store);
  await build(repo.path, store);
  const [found] = await storedAttestations(
    store,
    (await store.tags()).find(({ reference }) => reference.includes('lkt/base'))?.reference ?? '',
    'sbom',
    PLATFORM,
  );
  expect(relations(JSON.parse(String(await found?.read())) as SpdxDocument)).toEqual([
    'app STATIC_LINK glibc',
    'document DESCRIBES lkt/base',
    'lkt/base CONTAINS app',
    'lkt/base CONTAINS lib',
  ]);
});

it('lists the digest of every input in the provenance, and no value of a secret', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await prepare(repo.path, store);
  const built = await build(repo.path, store);
  const [image] = built.attestations?.images ?? [];
  const text = String(await readAttestation(store, image?.provenance ?? built.index));
  expect(text).not.toContain(SECRET);
  const statement = JSON.parse(text) as {
    subject: unknown;
    predicate: {
      buildDefinition: {
        externalParameters: object;
        resolvedDependencies: { name: string; digest: { sha256: string } }[];
      };
    };
  };
  const { externalParameters, resolvedDependencies } = statement.predicate.buildDefinition;
  expect(statement.subject).toEqual([
    { name: 'lkt/copy', digest: { sha256: digestHex(built.images[0]?.digest ?? digestOf('')) } },
  ]);
  expect(externalParameters).toEqual({
    package: 'lkt/copy',
    sourceHash: built.hash.committed,
    platforms: ['linux/amd64'],
    dockerfile: 'Dockerfile',
    buildArgs: expect.objectContaining({ BASE: expect.stringMatching(/^lkt\/base:/) }),
    network: false,
    secrets: ['token'],
  });
  const sha256 = async (path: string): Promise<string> =>
    digestHex(digestOf(await readHostFile(`${repo.path}/${path}`)));
  const named = new Map(resolvedDependencies.map(({ name, digest }) => [name, digest.sha256]));
  expect(resolvedDependencies).toContainEqual({
    uri: 'https://example.org/file',
    digest: { sha256: 'a'.repeat(64) },
  });
  named.delete(undefined as never);
  expect([...named.keys()].toSorted()).toEqual([
    'Dockerfile',
    'build.yml',
    'context',
    'lkt/base',
    'lkt/unused',
  ]);
  expect(named.get('Dockerfile')).toBe(await sha256('pkg/copy/Dockerfile'));
  expect(named.get('build.yml')).toBe(await sha256('pkg/copy/build.yml'));
  for (const name of ['lkt/base', 'lkt/unused']) {
    const tags = (await store.tags()).filter(({ reference }) => reference.includes(`/${name}:`));
    expect(tags.map(({ descriptor }) => digestHex(descriptor.digest))).toContain(named.get(name));
  }
});

it('writes attestations in a later build, if the first was asked for none', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await prepare(repo.path, store);
  const engine = new CopyEngine();
  const without = await build(repo.path, store, engine, false);
  expect(without.attestations).toBeUndefined();
  expect(await findAttestations(store, without.index.digest, 'sbom')).toEqual([]);
  const later = await build(repo.path, store, engine);
  expect(later.index).toEqual(without.index);
  expect(later.attestations?.images).toHaveLength(1);
  expect(engine.builds).toBe(1);
});

it('names the repository and the commit in the provenance, if the commit has the sources', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await prepare(repo.path, store);
  git(repo.path, 'add', '--all');
  git(repo.path, 'commit', '--quiet', '--message=Lock');
  git(repo.path, 'remote', 'add', 'origin', 'https://user:secret@example.org/repository.git');
  const commits = async (): Promise<unknown> => {
    const [image] = (await build(repo.path, store)).attestations?.images ?? [];
    const text = String(
      await readAttestation(store, image?.provenance ?? { digest: digestOf('') }),
    );
    const { predicate } = JSON.parse(text) as {
      predicate: { buildDefinition: { resolvedDependencies: { digest: object }[] } };
    };
    return predicate.buildDefinition.resolvedDependencies.filter(
      ({ digest }) => 'gitCommit' in digest,
    );
  };
  expect(await commits()).toEqual([
    {
      uri: 'git+https://example.org/repository.git',
      digest: { gitCommit: git(repo.path, 'rev-parse', 'HEAD').trim() },
    },
  ]);
  await write(repo.path, { 'pkg/copy/file': 'not committed' });
  expect(await commits()).toEqual([]);
});

it('writes the same documents in another store, and none twice', async () => {
  await using repo = await checkout(FILES);
  await using one = await temporary();
  await using two = await temporary();
  const store = await openStore(one.path);
  await prepare(repo.path, store);
  const built = await build(repo.path, store);
  const other = await openStore(two.path);
  expect((await build(repo.path, other)).attestations).toEqual(built.attestations);

  const before = await stat(`${one.path}/index.json`);
  const engine = new CopyEngine();
  expect((await build(repo.path, store, engine)).attestations).toEqual(built.attestations);
  expect(engine.builds).toBe(0);
  expect((await stat(`${one.path}/index.json`)).ino).toBe(before.ino);

  // Another user has written the owners of files, which packages built from the image need.
  const owners = `${one.path}/attestations/owners/${digestHex(built.images[0]?.digest ?? digestOf(''))}`;
  await writeFile(owners, 'other');
  expect((await build(repo.path, store, engine)).attestations).toEqual(built.attestations);
  expect(store.sealed.read(owners)).toBeDefined();

  // Other sources that produce the same image are another build of it.
  await write(repo.path, { 'pkg/copy/file': 'other' });
  const again = await build(repo.path, store);
  expect(again.index).toEqual(built.index);
  expect(again.attestations).not.toEqual(built.attestations);
  const [, found] = [
    await findAttestations(store, again.index.digest, 'sbom'),
    await findAttestations(store, again.index.digest, 'provenance'),
  ];
  expect(found).toHaveLength(2);
});

it('removes attestations with their image, and writes them again with it', async () => {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const store = await openStore(dir.path);
  await prepare(repo.path, store);
  const built = await build(repo.path, store);
  await store.prune([]);
  expect(await findAttestations(store, built.index.digest, 'sbom')).toHaveLength(1);
  for (const reference of built.references) await store.untag(reference);
  await store.prune([]);
  expect(await findAttestations(store, built.index.digest, 'sbom')).toEqual([]);
  const { sbom } = built.attestations?.index ?? {};
  expect(sbom && (await store.has(sbom.digest))).toBe(false);
  await expect(
    storedAttestations(store, `lkt/copy@${built.index.digest}`, 'sbom'),
  ).rejects.toMatchObject({ code: 'NOT_FOUND', fix: 'build the package: lkt pkg build DIR' });
  expect((await build(repo.path, store)).attestations).toEqual(built.attestations);
  expect(await findAttestations(store, built.index.digest, 'sbom')).toHaveLength(1);
});
