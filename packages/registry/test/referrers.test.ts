import type { Descriptor, Reference } from '@lkt/oci';
import type { RegistryOptions as TestOptions, TestRegistry } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { at, client, methods, newImage, newStore, pushReferrer, serve } from './support.ts';

async function withSubject(options: TestOptions): Promise<{
  registry: TestRegistry;
  subject: Descriptor;
  name: Reference & { digest: Descriptor['digest'] };
}> {
  const registry = await serve(options);
  const store = await newStore();
  const subject = await newImage(store, [100]);
  await client().pushImage(store, subject, at(registry));
  const { domain, path } = at(registry);
  return { registry, subject, name: { domain, path, digest: subject.digest } };
}

describe.each<[string, TestOptions]>([
  ['with the API', {}],
  ['with the API, without stating so', { ociSubject: false }],
  ['with the API in pages', { pageSize: 1 }],
  ['without the API', { referrers: false }],
  ['without the API, with ETags', { referrers: false, etags: true }],
])('referrers of a registry %s', (_what, options) => {
  it('are found by subject, once', async () => {
    const { registry, subject, name } = await withSubject(options);
    expect(await client().referrers(name)).toEqual([]);
    const one = await pushReferrer(client(), at(registry), subject, 'one');
    await pushReferrer(client(), at(registry), subject, 'one');
    const two = await pushReferrer(client(), at(registry), subject, 'two', 'text/other');
    const all = await client().referrers(name);
    expect(all).toEqual([one, two].toSorted((a, b) => (a.digest < b.digest ? -1 : 1)));
    const hasTag = registry.storage.repository('app').tags.has(subject.digest.replace(':', '-'));
    expect(hasTag).toBe(options.referrers === false);
  });

  it('are not lost when added concurrently', async () => {
    const { registry, subject, name } = await withSubject(options);
    const names = Array.from({ length: 8 }, (_, index) => `referrer ${index}`);
    const [a, b] = [client(), client()];
    await Promise.all(
      names.map(async (text, index) =>
        pushReferrer(index % 2 === 0 ? a : b, at(registry), subject, text),
      ),
    );
    const found = await client().referrers(name);
    expect(found).toHaveLength(names.length);
    expect(new Set(found.map(({ annotations }) => annotations?.['text']))).toEqual(new Set(names));
  });
});

it('keep a concurrent change of another process', async () => {
  const { registry, subject, name } = await withSubject({ referrers: false, etags: true });
  await pushReferrer(client(), at(registry), subject, 'one');
  // Another process writes just before the first write of the index.
  const tag = subject.digest.replace(':', '-');
  registry.fault({ method: 'PUT', path: new RegExp(tag) }, { kind: 'respond', status: 412 });
  await pushReferrer(client(), at(registry), subject, 'two');
  expect(await client().referrers(name)).toHaveLength(2);
  const last = registry.requests.findLast(
    ({ method, path }) => method === 'PUT' && path.includes(tag),
  );
  expect(last?.headers['if-match']).toBeDefined();
});

it('pushImage records referrers, even if the manifest is already present', async () => {
  const { registry, subject, name } = await withSubject({ referrers: false });
  const store = await newStore();
  const from = client();
  const made = await pushReferrer(from, at(registry), subject, 'one');
  await from.pullImage(store, { ...at(registry, 'app'), digest: made.digest });
  registry.storage.repository('app').tags.delete(subject.digest.replace(':', '-'));
  expect(await client().referrers(name)).toEqual([]);
  await client().pushImage(store, made, { ...at(registry, 'app'), digest: made.digest });
  expect(await client().referrers(name)).toEqual([made]);
  expect(methods(registry, /referrers/).length).toBeGreaterThan(0);
});
