import { rm } from 'node:fs/promises';
import { parsePlatform, readTar, type Store, writeImage, writeIndex, writeLayer } from '@lkt/oci';
import { expect, it } from 'vitest';
import type { BuiltPackage } from '../src/build/built-package.ts';
import { pinOf } from '../src/pins/check-pin.ts';
import { storedAttestations } from '../src/attest/stored-attestations.ts';
import { bench, type Bench, FILES } from './bench.ts';
import { write } from '../../git/test/checkout.ts';

const AMD64 = parsePlatform('linux/amd64');

/** Writes an image to the store under a name. Returns its reference. */
async function other(store: Store, name: string): Promise<string> {
  const layer = await writeLayer(store, [
    { path: name, type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0 },
  ]);
  const image = await writeImage(store, { config: {}, layers: [layer], platform: AMD64 });
  const index = await writeIndex(store, [image]);
  await store.tag(`docker.io/library/${name}:1`, index);
  return `${name}:1@${index.digest}`;
}

async function depend(at: Bench, ...lines: readonly string[]): Promise<void> {
  const depends = ['depends:', '  docker-images:', ...lines.map((line) => `    ${line}`)];
  await write(at.path, {
    'pkg/alone/build.yml': `${FILES['pkg/alone/build.yml']}${depends.join('\n')}\n`,
  });
}

/** Returns the manifest.json of each archive in the context of the last build, by path. */
async function archives(at: Bench): Promise<Record<string, { RepoTags: unknown }[]>> {
  const found: Record<string, { RepoTags: unknown }[]> = {};
  for (const { path, digest } of at.engine.requests.at(-1)?.context ?? []) {
    if (digest === undefined) continue;
    for await (const entry of readTar(at.store.read({ digest }))) {
      if (entry.path !== 'manifest.json') continue;
      const bytes = Buffer.concat(await Array.fromAsync(entry.content ?? []));
      found[path] = JSON.parse(bytes.toString()) as { RepoTags: unknown }[];
    }
  }
  return found;
}

const paths = (at: Bench): readonly string[] =>
  at.engine.requests.at(-1)?.context.map(({ path }) => path) ?? [];

it('puts one archive per image into target-dir, and removes other files there', async () => {
  await using at = await bench();
  const one = await other(at.store, 'one');
  const two = await other(at.store, 'two');
  await depend(at, 'target-dir: images', `list: [${one}, ${two.replace(':1', '')}]`);
  await write(at.path, { 'pkg/alone/images/old.tar': 'old', 'pkg/alone/images2': 'kept' });
  await at.build('lkt/alone');
  const [oneTar, twoTar] = [one, two].map((text) => `images/${text.replace(':1', '')}.tar`);
  expect(paths(at)).toEqual(['Dockerfile', 'build.yml', oneTar, twoTar, 'images2']);
  expect(await archives(at)).toMatchObject({
    [String(oneTar)]: [{ RepoTags: ['one:1'] }],
    [String(twoTar)]: [{ RepoTags: null }],
  });
});

it('puts one archive at target, with the images of from-file', async () => {
  await using at = await bench();
  const [one, two] = [await other(at.store, 'one'), await other(at.store, 'two')];
  await depend(at, 'target: all.tar', 'from-file: images.txt');
  await write(at.path, { 'pkg/alone/images.txt': `# ours\n\n${one}\n${two}\r\n` });
  await at.build('lkt/alone');
  expect(await archives(at)).toMatchObject({
    'all.tar': [{ RepoTags: ['one:1'] }, { RepoTags: ['two:1'] }],
  });
  await write(at.path, { 'pkg/alone/images.txt': `# ours\n${one}\n` });
  const [fewer] = await at.build('lkt/alone');
  expect(fewer?.cached).toBe(false);
  expect((await archives(at))['all.tar']).toHaveLength(1);
});

it('builds once, lists the images in provenance, and rewrites a missing archive', async () => {
  await using at = await bench();
  const one = await other(at.store, 'one');
  await depend(at, 'target: all.tar', `list: [${one}]`);
  const [built] = await at.build('lkt/alone');
  const [archive] = (at.engine.requests[0]?.context ?? []).flatMap(({ digest }) => digest ?? []);
  if (built === undefined || archive === undefined) throw new Error('nothing was built');
  await rm(at.store.blobPath(archive));
  const [again] = await at.build('lkt/alone');
  expect(again).toMatchObject({ cached: true, index: built.index });
  expect(await at.store.has(archive)).toBe(true);
  expect(await dependencies(at.store, built)).toContainEqual(
    expect.objectContaining({ name: 'one', digest: { sha256: one.split(':').at(-1) } }),
  );
});

it('rejects a damaged archive', async () => {
  await using at = await bench();
  await depend(at, 'target: all.tar', `list: [${await other(at.store, 'one')}]`);
  await at.build('lkt/alone');
  const [archive] = (at.engine.requests[0]?.context ?? []).flatMap(({ digest }) => digest ?? []);
  if (archive === undefined) throw new Error('there is no archive');
  await write('/', { [at.store.blobPath(archive)]: 'other' });
  await expect(at.build('lkt/alone')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
});

it('builds a package of the workspace first, and checks its pin', async () => {
  await using at = await bench();
  const [base] = await at.build('lkt/base');
  const pin = base && pinOf(base);
  await depend(at, 'target-dir: i', `list: [${pin}]`);
  await at.build('lkt/alone');
  expect(paths(at)).toContain(`i/base@${base?.index.digest}.tar`);
  await write(at.path, { 'tools/base/Dockerfile': 'FROM scratch\nLABEL a=b\n' });
  await expect(at.build('lkt/alone')).rejects.toMatchObject({
    code: 'PIN_STALE',
    message: expect.stringMatching(/^pkg\/alone\/build\.yml:9:12: .*the pin of lkt\/base is stale/),
    fix: expect.stringMatching(/^change the digest to sha256:/),
  });
});

it.each([
  ['NOT_FOUND', 'list: [x@DIGEST]', 'build.yml:9:12: ', 'has the digest of another image'],
  [
    'NOT_FOUND',
    'list: [one@DIGEST]',
    'build.yml:9:12: ',
    'not available for linux/amd64, only for unknown platforms',
  ],
  ['CONFIG_INVALID', 'from-file: none', 'build.yml:9:16: ', 'no such file'],
  ['CONFIG_INVALID', 'from-file: Dockerfile', 'Dockerfile:1:1: ', 'not an image reference'],
])('reports %s for %s', async (code, line, place, message) => {
  await using at = await bench();
  const empty = await writeIndex(at.store, []);
  await at.store.tag('docker.io/library/one:1', empty);
  await depend(at, 'target-dir: i', line.replace('DIGEST', empty.digest));
  await expect(at.build('lkt/alone')).rejects.toMatchObject({
    code,
    message: expect.stringContaining(`pkg/alone/${place}`),
  });
  await expect(at.build('lkt/alone')).rejects.toThrow(message);
});

async function dependencies(store: Store, { index }: BuiltPackage): Promise<readonly unknown[]> {
  const [found] = await storedAttestations(store, `lkt/alone@${index.digest}`, 'provenance', AMD64);
  const statement = JSON.parse(String(await found?.read())) as {
    predicate: { buildDefinition: { resolvedDependencies: readonly unknown[] } };
  };
  return statement.predicate.buildDefinition.resolvedDependencies;
}
