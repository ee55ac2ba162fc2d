import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import type { PackageImage } from '@lkt/image';
import { formatReference, parseReference } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { type ConfigViewOptions, viewConfig } from '../src/config-view.ts';
import type { ImageView } from '../src/view.ts';
import { PLATFORM, sha256, storeImage, summary, tempDir, tempStore } from './support.ts';

/** Views a config of a checkout with the package `./pkg/hello`, which is not built by default. */
async function viewOf(text: string, options: Partial<ConfigViewOptions> = {}): Promise<ImageView> {
  const directory = tempDir();
  mkdirSync(join(directory, 'pkg/hello'), { recursive: true });
  const file = { path: 'app.yml', text, absolute: join(directory, 'app.yml') };
  return viewConfig([file], {
    store: await tempStore(),
    platform: PLATFORM,
    findPackage: async () => undefined,
    ...options,
  });
}

describe('viewConfig', () => {
  it('lists images once, with the parts of the config that name them', async () => {
    const digest = digestOf('x');
    const full = formatReference(parseReference(`example/hello:1@${digest}`));
    const text = `
kernel:
  image: example/kernel:1@${digest}
  cmdline: quiet
init:
  - "@pkg:./pkg/hello"
  - example/init:1@${digest}
services:
  - name: hello
    image: "@pkg:./pkg/hello"
`;
    const asked: string[] = [];
    const findPackage = async (directory: string): Promise<PackageImage> => {
      asked.push(directory);
      return { full, digest };
    };
    const view = await viewOf(text, { findPackage });
    expect(asked).toEqual(['./pkg/hello']);
    expect(view).toMatchObject({ kind: 'config', name: 'app.yml', cmdline: 'quiet' });
    expect(view.images).toEqual([
      { name: 'example/kernel:1', digest, places: ['kernel'] },
      { name: 'example/hello:1', digest, places: ['init', 'services hello'] },
      { name: 'example/init:1', digest, places: ['init'] },
    ]);
    expect(view.inputs).toEqual([{ name: 'app.yml', digest: digestOf(text) }]);
  });

  it('reads the files of images and of the config, with variables', async () => {
    const store = await tempStore();
    const { digest } = await storeImage(store, { 'etc/': '', 'etc/motd': 'hello\n' });
    const text = `
variables:
  GREETING: hi
init:
  - example/init:1@${digest}
files:
  - path: etc/greeting
    contents: \${GREETING}
`;
    const view = await viewOf(text, { store, set: new Map([['GREETING', 'bye']]) });
    expect(view.parameters).toEqual({ variables: { GREETING: 'bye' } });
    const files = summary(await view.files?.());
    expect(files).toMatchObject({ 'etc/motd': sha256('hello\n'), 'etc/greeting': sha256('bye') });
  });

  it('names a package that is not built', async () => {
    const view = await viewOf('init: ["@pkg:./pkg/hello"]\n');
    expect(view.images).toEqual([{ name: '@pkg:./pkg/hello', places: ['init'] }]);
    await expect(view.files?.()).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'app.yml:1:8: init[0]: @pkg:./pkg/hello is not built',
      fix: 'run: lkt build app.yml',
    });
  });
});
