import { formatReference, parseReference } from '@lkt/oci';
import { expect, it } from 'vitest';
import { publishedTags } from '../src/published.ts';
import { at, client, newImage, newStore, serve } from './support.ts';

it('asks the registry of each image, and no default one for images of this machine', async () => {
  const server = await serve();
  const store = await newStore();
  const image = await newImage(store);
  for (const name of ['app:1', 'here/app:1'])
    await client().pushImage(store, image, at(server, name));
  const names = [
    formatReference(at(server)),
    formatReference(at(server, 'app:2')),
    formatReference(parseReference('here/app:1')),
    `docker.io/here/app@${image.digest}`,
  ];
  for (const name of names) await store.tag(name, image);
  const mirrors = { 'docker.io': [{ url: server.url, resolvesTags: true }] };
  const { signal } = new AbortController();
  const found = await publishedTags(client({ mirrors, backoff: [] }), store, names, signal);
  expect(found).toEqual([names[0], names[3]]);
});
