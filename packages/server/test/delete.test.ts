import { writeFile } from 'node:fs/promises';
import { digestOf } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { describe, expect, test } from 'vitest';
import {
  DELETE,
  errorOf,
  INDEX,
  MANIFEST,
  pushContent,
  putManifest,
  run,
  serve,
  type Served,
} from './support.ts';

/** Starts a server that needs the token for deleting, and whose requests have it. */
async function serveDeleting(): Promise<Served> {
  const served = await serve({ tokens: { read: [], write: [], delete: [DELETE] } });
  const authorization = `Bearer ${DELETE}`;
  return {
    ...served,
    fetch: async (path, init) => {
      const headers = new Headers(init?.headers);
      if (!headers.has('authorization')) headers.set('authorization', authorization);
      return served.fetch(path, { ...init, headers });
    },
  };
}

async function status(served: Served, path: string, method = 'DELETE'): Promise<number> {
  return (await served.fetch(path, { method })).status;
}

describe('DELETE', () => {
  test('of a tag leaves the manifest and other tags', async () => {
    await using served = await serveDeleting();
    const manifest = await pushContent(served, 'a', 'x');
    for (const tag of ['1', '2']) await putManifest(served, 'a', tag, manifest);
    expect(await status(served, '/v2/a/manifests/1')).toBe(202);
    expect(await errorOf(await served.fetch('/v2/a/manifests/1', { method: 'DELETE' }))).toBe(
      '404 MANIFEST_UNKNOWN',
    );
    expect(await status(served, '/v2/a/manifests/1', 'GET')).toBe(404);
    expect(await status(served, '/v2/a/manifests/2', 'GET')).toBe(200);
    expect(await status(served, `/v2/a/manifests/${digestOf(manifest)}`, 'GET')).toBe(200);
    expect(await (await served.fetch('/v2/a/tags/list')).json()).toMatchObject({ tags: ['2'] });
  });

  test('of a manifest removes its tags in the repository; then its blobs can go', async () => {
    await using served = await serveDeleting();
    const manifest = await pushContent(served, 'a', 'x');
    for (const tag of ['1', '2']) await putManifest(served, 'a', tag, manifest);
    const path = `/v2/a/manifests/${digestOf(manifest)}`;
    const blob = `/v2/a/blobs/${digestOf('x')}`;
    expect(await errorOf(await served.fetch(blob, { method: 'DELETE' }))).toBe('409 DENIED');
    expect(await status(served, path)).toBe(202);
    for (const gone of [path, '/v2/a/manifests/1', '/v2/a/manifests/2', '/v2/a/tags/list'])
      expect(await status(served, gone, 'GET')).toBe(404);
    expect(await status(served, path)).toBe(404);
    expect(await status(served, blob, 'HEAD')).toBe(200);
    expect(await status(served, blob)).toBe(202);
    expect(await status(served, blob, 'HEAD')).toBe(404);
    expect(await errorOf(await served.fetch(blob, { method: 'DELETE' }))).toBe('404 BLOB_UNKNOWN');
    // Everything can be pushed again.
    await pushContent(served, 'a', 'x');
    expect((await putManifest(served, 'a', '1', manifest)).status).toBe(201);
  });

  test('keeps what another name needs', async () => {
    await using served = await serveDeleting();
    const one = await pushContent(served, 'a', 'x');
    const digest = digestOf(one);
    await putManifest(served, 'a', '1', one);
    await putManifest(served, 'b', '1', one);
    const shared = await served.fetch(`/v2/a/manifests/${digest}`, { method: 'DELETE' });
    expect(await shared.json()).toMatchObject({
      errors: [{ code: 'DENIED', message: 'docker.io/library/b:1 needs it' }],
    });
    // Nothing changed.
    expect(await status(served, '/v2/a/manifests/1', 'GET')).toBe(200);
    const manifests = [{ mediaType: MANIFEST, digest, size: one.length }];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
    await putManifest(served, 'c', '1', index, INDEX);
    for (const name of ['a', 'b'])
      expect(await status(served, `/v2/${name}/manifests/1`)).toBe(202);
    for (const name of [digest, digestOf('x'), digestOf('{}')])
      expect(await status(served, `/v2/c/blobs/${name}`)).toBe(409);
    expect(await status(served, `/v2/c/manifests/${digest}`)).toBe(409);
    expect(await status(served, `/v2/c/manifests/${digestOf(index)}`)).toBe(202);
    expect(await status(served, `/v2/c/manifests/${digest}`)).toBe(202);
  });

  test('of a referrer removes it from the list; of a subject keeps it', async () => {
    await using served = await serveDeleting();
    const image = await pushContent(served, 'a', 'x');
    await putManifest(served, 'a', '1', image);
    const subject = { mediaType: MANIFEST, digest: digestOf(image), size: image.length };
    const list = async (): Promise<unknown> =>
      (
        (await (await served.fetch(`/v2/a/referrers/${subject.digest}`)).json()) as Record<
          string,
          unknown
        >
      )['manifests'];
    const note = await pushContent(served, 'a', 'note', { subject, artifactType: 'text/note' });
    await putManifest(served, 'a', digestOf(note), note);
    const other = await pushContent(served, 'a', 'other', { subject, artifactType: 'text/note' });
    await putManifest(served, 'a', digestOf(other), other);
    expect(await status(served, `/v2/a/blobs/${digestOf('note')}`)).toBe(409);
    expect(await status(served, `/v2/a/manifests/${digestOf(note)}`)).toBe(202);
    expect(await list()).toMatchObject([{ digest: digestOf(other) }]);
    expect(await status(served, `/v2/a/manifests/${subject.digest}`)).toBe(202);
    expect(await list()).toMatchObject([{ digest: digestOf(other) }]);
  });

  test('keeps what another process uses', async () => {
    await using served = await serveDeleting();
    const script = `
      const { openStore } = await import(${JSON.stringify(import.meta.resolve('@lkt/oci'))});
      const store = await openStore(process.argv[1]);
      await store.writeBytes(Buffer.from('theirs'));
      await fetch(process.argv[2], { method: 'DELETE', headers: { authorization: process.argv[3] } })
        .then((response) => console.log(response.status));`;
    const url = `${served.url}/v2/a/blobs/${digestOf('theirs')}`;
    const { stdout } = await run(process.execPath, [
      '--input-type=module',
      '-e',
      script,
      served.store.dir,
      url,
      `Bearer ${DELETE}`,
    ]);
    expect(stdout).toBe('409\n');
    // The process has ended.
    expect(await status(served, `/v2/a/blobs/${digestOf('theirs')}`)).toBe(202);
  });

  test('does not disturb a read', async () => {
    await using served = await serveDeleting();
    const bytes = Buffer.alloc(32 * 2 ** 20, 'x');
    const { digest } = await served.store.writeBytes(bytes);
    const response = await served.fetch(`/v2/a/blobs/${digest}`);
    const part = await served.fetch(`/v2/a/blobs/${digest}`, { headers: { range: 'bytes=1-' } });
    expect(await status(served, `/v2/a/blobs/${digest}`)).toBe(202);
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    expect((await part.arrayBuffer()).byteLength).toBe(bytes.length - 1);
  });

  test('never leaves a tag without its content beside pushes', async () => {
    await using served = await serveDeleting();
    const texts = Array.from({ length: 8 }, (_, index) => `text ${index}`);
    await Promise.all(
      texts.map(async (text) => {
        const manifest = await pushContent(served, 'race', text);
        const [put] = await Promise.all([
          putManifest(served, 'race', text.replace(' ', '-'), manifest),
          status(served, `/v2/race/blobs/${digestOf(text)}`),
          status(served, `/v2/race/blobs/${digestOf('{}')}`),
        ]);
        expect([201, 404]).toContain(put.status);
      }),
    );
    for (const { descriptor } of await served.store.tags()) {
      const manifest = JSON.parse((await served.store.readBytes(descriptor)).toString()) as {
        layers: { digest: `sha256:${string}` }[];
      };
      for (const { digest } of manifest.layers)
        expect(await status(served, `/v2/race/blobs/${digest}`, 'HEAD')).toBe(200);
    }
  });

  test('of what is damaged works', async () => {
    await using served = await serveDeleting();
    const { digest } = await served.store.writeBytes(Buffer.from('x'));
    await writeFile(served.store.blobPath(digest), 'y');
    expect(await status(served, `/v2/a/blobs/${digest}`)).toBe(202);
    expect(await (await openStore(served.store.dir)).has(digest)).toBe(false);
  });
});
