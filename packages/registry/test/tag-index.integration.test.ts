import { digestOf } from '@lkt/core';
import { formatPlatform, parseIndex, writeIndex } from '@lkt/oci';
import { startDockerRegistry } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import type { Registry } from '../src/registry.ts';
import { at, client, failure, newImage, newStore, serve } from './support.ts';

const TAG = { tag: '1' } as const;

function armFirst(a: { readonly architecture: string }): number {
  return a.architecture === 'arm64' ? -1 : 1;
}

/** The annotations of an attestation entry as BuildKit writes them. */
function about(digest: string): object {
  return {
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.digest': digest },
  };
}

/** Returns the platforms of a tag. */
async function platforms(registry: Registry, host: { host: string }): Promise<string[]> {
  const { bytes } = await registry.fetchManifest(at(host));
  return parseIndex(bytes).manifests.map(({ platform }) =>
    platform === undefined ? '' : formatPlatform(platform),
  );
}

describe.each([true, false])('mergeIndex (If-Match: %s)', (etags) => {
  it('contains the images of all concurrent pushes', async () => {
    const registry = await serve({ etags });
    const lkt = client();
    const names = ['amd64', 'arm64', 'riscv64', 's390x'].map((name) => `linux/${name}`);
    await Promise.all(
      names.map(async (name) => {
        const store = await newStore();
        const image = await newImage(store, [100], name);
        const own = client();
        await own.pushImage(store, image, { ...at(registry, 'app'), digest: image.digest });
        await own.mergeIndex({ ...at(registry), ...TAG }, [image]);
      }),
    );
    expect(await platforms(lkt, registry)).toEqual(names);
  });
});

describe.each(['in process', 'docker-registry'])('mergeIndex (%s)', (kind) => {
  it('keeps other platforms and up-to-date images', async () => {
    await using registry = kind === 'docker-registry' ? await startDockerRegistry() : await serve();
    const lkt = client();
    const store = await newStore();
    const arm = await newImage(store, [100], 'linux/arm64');
    const amd = await newImage(store, [100], 'linux/amd64');
    // A single image without an index, as other tools push it.
    await lkt.pushImage(store, arm, at(registry));
    await lkt.pushImage(store, amd, { ...at(registry, 'app'), digest: amd.digest });
    const target = { ...at(registry), ...TAG };
    const merged = await lkt.mergeIndex(target, [amd]);
    expect(merged).toMatchObject({
      changed: true,
      descriptor: await writeIndex(store, [amd, arm]),
    });
    expect(await lkt.mergeIndex(target, [amd])).toEqual({ ...merged, changed: false });
    await lkt.mergeIndex(target, [amd], { compare: armFirst });
    expect(await platforms(lkt, registry)).toEqual(['linux/arm64', 'linux/amd64']);
    expect(await lkt.taggedImages(target)).toMatchObject([
      { digest: arm.digest },
      { digest: amd.digest },
    ]);
    expect(await lkt.taggedImages({ ...target, tag: '2' })).toEqual([]);
  });

  it('replaces an image only with replace', async () => {
    await using registry = kind === 'docker-registry' ? await startDockerRegistry() : await serve();
    const lkt = client();
    const store = await newStore();
    const target = { ...at(registry), ...TAG };
    const [one, two] = [await newImage(store), await newImage(store)];
    for (const image of [one, two])
      await lkt.pushImage(store, image, { ...at(registry, 'app'), digest: image.digest });
    await lkt.mergeIndex(target, [one]);
    const error = await failure(lkt.mergeIndex(target, [two]));
    expect(error).toMatchObject({ code: 'TAG_TAKEN' });
    expect(error.message).toContain(`already has ${one.digest} for linux/amd64`);
    await lkt.mergeIndex(target, [two], { replace: true, dryRun: true });
    expect(await lkt.taggedImages(target)).toMatchObject([{ digest: one.digest }]);
    await lkt.mergeIndex(target, [two], { replace: true });
    expect(await lkt.taggedImages(target)).toMatchObject([{ digest: two.digest }]);

    const release = { ...target, tag: 'v1' };
    await lkt.tagManifest(release, one);
    expect(await lkt.tagManifest(release, one)).toMatchObject({ changed: false });
    expect(await failure(lkt.tagManifest(release, two))).toMatchObject({ code: 'TAG_TAKEN' });
    await lkt.tagManifest(release, two, { replace: true });
    expect(await lkt.resolve(release)).toMatchObject({ digest: two.digest });
    const absent = { ...one, digest: digestOf('absent') };
    expect(await failure(lkt.tagManifest({ ...release, tag: 'v2' }, absent))).toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

it('drops Docker’s attestations of removed images and keeps others', async () => {
  const registry = await serve();
  const lkt = client();
  const store = await newStore();
  const target = { ...at(registry), ...TAG };
  const [amd, arm, other] = [
    await newImage(store),
    await newImage(store, [100], 'linux/arm64'),
    await newImage(store),
  ];
  const notes = [await newImage(store), await newImage(store)] as const;
  const index = await writeIndex(store, [
    amd,
    arm,
    { ...notes[0], ...about(amd.digest) },
    { ...notes[1], ...about(arm.digest) },
  ]);
  await lkt.pushImage(store, index, at(registry));
  await lkt.pushImage(store, other, { ...at(registry, 'app'), digest: other.digest });
  await lkt.mergeIndex(target, [other], { replace: true });
  const { bytes } = await lkt.fetchManifest(target);
  const { manifests } = parseIndex(bytes);
  expect(manifests.map(({ digest }) => digest)).toEqual([
    other.digest,
    arm.digest,
    notes[1].digest,
  ]);
});
