import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { expect, test } from 'vitest';
import { run, runScript, tempDir, withStore } from '../support.ts';
import { SBOM, image, attach } from './referrers-fixture.ts';

test('concurrent processes lose no referrer', async () => {
  await withStore(async (store) => {
    const { manifest } = await image(store, 'a');
    const body = (round: number): string =>
      `const store = await oci.openStore(${JSON.stringify(store.dir)});
       for (let i = 0; i < 5; i++) {
         const text = Buffer.from('${round} ' + i);
         const layer = { mediaType: 'text/plain', ...(await store.writeBytes(text)) };
         const subject = ${JSON.stringify(manifest)};
         const artifactType = 'text/plain';
         await store.addReferrer(await oci.writeReferrer(store, { subject, artifactType, layers: [layer] }));
       }`;
    const ends = await Promise.all([0, 1, 2].map((round) => runScript(body(round))));
    for (const end of ends) expect(end).toMatchObject({ status: 0, stderr: '' });
    expect(await store.referrers(manifest.digest, 'text/plain')).toHaveLength(15);
  });
});

test('skopeo and umoci read the image of the layout, ORAS its referrers', async () => {
  await withStore(async (store) => {
    const { manifest, index } = await image(store, 'a');
    const sbom = await attach(store, manifest, 'sbom');
    const ofIndex = await attach(store, index, 'of the index');
    const name = `${store.dir}:docker.io/lkt/a:1`;
    const arch = ['--override-arch', 'amd64', '--override-os', 'linux'];
    const inspected = run('skopeo', [...arch, 'inspect', '--raw', `oci:${name}`]);
    expect(digestOf(inspected)).toBe(index.digest);
    run('umoci', ['list', '--layout', store.dir]);
    run('umoci', ['gc', '--layout', store.dir]);
    expect(await store.has(sbom.digest)).toBe(true);
    // ORAS selects a manifest of an index by its platform.
    for (const [which, referrer] of [
      [['--platform', 'linux/amd64'], sbom],
      [[], ofIndex],
    ] as const) {
      const found = JSON.parse(
        run('oras', [
          'discover',
          ...which,
          '--format',
          'json',
          '--oci-layout',
          `${store.dir}@${index.digest}`,
        ]).toString(),
      ) as { manifests: readonly { digest: string; artifactType: string }[] };
      expect(found.manifests).toMatchObject([{ digest: referrer.digest, artifactType: SBOM }]);
    }
    // The reverse: lkt finds a referrer that ORAS attaches.
    await using temp = await tempDir();
    await writeFile(join(temp.path, 'note.txt'), 'note');
    run(
      'oras',
      [
        'attach',
        '--oci-layout',
        `${store.dir}@${index.digest}`,
        '--artifact-type',
        'text/x-note',
        'note.txt:text/plain',
      ],
      { cwd: temp.path },
    );
    expect(await store.referrers(index.digest, 'text/x-note')).toHaveLength(1);
    expect((await store.tags()).map(({ reference }) => reference)).toEqual(['docker.io/lkt/a:1']);
    await store.prune([]);
    expect(await store.referrers(index.digest)).toHaveLength(2);
    expect(await store.referrers(manifest.digest)).toHaveLength(1);
  });
});
