import { type ConfigFile, loadConfig, type SystemConfig } from '@lkt/image';
import type { Descriptor } from '@lkt/oci';
import { digestOf } from '@lkt/core';
import { expect, it } from 'vitest';
import { compareContainers } from '../src/compare-containers.ts';
import { PLATFORM, storeImage, tempStore } from './support.ts';

async function configOf(web: string, more = ''): Promise<SystemConfig> {
  const text = `
services:
  - name: same
    image: example/same@${digestOf('same')}
  - name: web
    image: example/web@${web}
${more}`;
  const file: ConfigFile = { path: 'a.yml', absolute: '/a.yml', text };
  return (await loadConfig([file])).config;
}

const label = (settings: object): { Labels: Record<string, string> } => ({
  Labels: { 'org.mobyproject.config': JSON.stringify(settings) },
});

it('compares the specs of containers with new images', async () => {
  const store = await tempStore();
  const image = async (settings: object): Promise<Descriptor> =>
    storeImage(store, {}, label(settings));
  const old = await image({ capabilities: ['CAP_CHOWN'], readonly: true });
  const now = await image({ capabilities: ['all'], readonly: true, pid: 'host' });
  const [change, ...others] = await compareContainers(
    await configOf(old.digest),
    await configOf(now.digest),
    store,
    PLATFORM,
  );
  expect(others).toEqual([]);
  expect(change).toMatchObject({
    container: 'services web',
    before: `example/web@${old.digest}`,
    after: `example/web@${now.digest}`,
  });
  const paths = change?.changes?.map(({ path }) => path) ?? [];
  expect(paths).toContain('config.process.capabilities.bounding');
  expect(paths.some((path) => path.startsWith('config.linux.namespaces'))).toBe(true);
  expect(paths.every((path) => /capabilities|namespaces/.test(path))).toBe(true);
});

it('reports equal specs as no change, and missing images as not compared', async () => {
  const store = await tempStore();
  const old = await storeImage(store, { a: 'a' }, label({ readonly: true }));
  const now = await storeImage(store, { a: 'b' }, label({ readonly: true }));
  const compare = async (before: string): ReturnType<typeof compareContainers> =>
    compareContainers(await configOf(before), await configOf(now.digest), store, PLATFORM);
  expect(await compare(now.digest)).toEqual([]);
  expect(await compare(old.digest)).toMatchObject([{ container: 'services web', changes: [] }]);
  const [missing] = await compare(digestOf('missing'));
  expect(missing?.container).toBe('services web');
  expect(missing?.changes).toBeUndefined();
});
