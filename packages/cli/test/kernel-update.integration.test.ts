import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nativeEngine } from '@lkt/builder';
import { silentReporter } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { lockPackage, openWorkspace, pinWorkspace } from '@lkt/pkg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  findKernelUpdate,
  type KernelUpdateOptions,
  kernelSource,
  type UpdatedKernel,
  updateKernel,
} from '@lkt/image';
import { TestArchive, type TestSource } from '../../debian/test/test-archive.ts';
import { checkout, ENV, temporary } from '../../git/test/checkout.ts';

let archive: TestArchive;

beforeAll(async () => {
  archive = await TestArchive.create();
});
afterAll(async () => archive[Symbol.asyncDispose]());

const HEAD = (version: string): string => `# Linux/x86 ${version} Kernel Configuration\n`;
const CONFIGS = {
  '6.12.107': `${HEAD('6.12.107')}CONFIG_OLD=y\nCONFIG_SIZE=1\n# CONFIG_NO is not set\n`,
  '6.12.113': `${HEAD('6.12.113')}CONFIG_NEW=y\nCONFIG_SIZE=2\n# CONFIG_NO is not set\n# CONFIG_ASKED is not set\n`,
  '6.13.1': HEAD('6.13.1'),
};

/** The file in the place of the tarball also stands for the configuration made from it. */
const FILES = {
  'kernel/linux-source/build.yml': `# The source.
org: lkt
image: linux-source
arches: [amd64]
debian:
  suite: trixie
  # The newest that there is.
  sources: ['linux (= 6.12.107-1)']
`,
  'kernel/linux-source/debian.lock': '',
  'kernel/linux-config/build.yml': 'org: lkt\nimage: linux-config\narches: [amd64]\n',
  'kernel/linux-config/Dockerfile':
    'FROM scratch\nCOPY --from=lkt/linux-source /usr/src/*.xz /lkt/kernel-config\n',
};

beforeEach(async () => {
  archive.files.clear();
  const sources = Object.entries(CONFIGS).map(([version, text]): TestSource => ({
    name: 'linux',
    version: `${version}-1`,
    files: { [`linux_${version}.orig.tar.xz`]: text },
  }));
  await archive.publish('trixie', [{ name: 'app' }], { sources });
});

async function inCheckout(
  use: (path: string, options: KernelUpdateOptions) => Promise<void>,
): Promise<void> {
  await using repo = await checkout(FILES);
  await using dir = await temporary();
  const options: KernelUpdateOptions = {
    store: await openStore(dir.path),
    engine: nativeEngine(),
    mirror: async () => archive.mirror,
    reporter: silentReporter,
    keyrings: [archive.keyring],
  };
  const workspace = await openWorkspace(repo.path, { env: ENV });
  await lockPackage(workspace, workspace.get('lkt/linux-source'), options);
  await pinWorkspace(workspace, [workspace.get('lkt/linux-config')], options);
  await use(repo.path, options);
}

async function update(path: string, options: KernelUpdateOptions): Promise<UpdatedKernel> {
  const reopen = async (): ReturnType<typeof openWorkspace> => openWorkspace(path, { env: ENV });
  const workspace = await reopen();
  const item = await kernelSource(workspace, undefined);
  const found = await findKernelUpdate(workspace, item, options);
  return updateKernel(workspace, item, found, reopen, options);
}

function neverReopened(): never {
  throw new Error('something was written');
}

it('updates to the newest version of the series, and shows configuration changes', async () => {
  await inCheckout(async (path, options) => {
    expect(await update(path, options)).toEqual({
      file: 'kernel/linux-source/build.yml',
      source: 'linux',
      series: '6.12',
      from: '6.12.107-1',
      to: '6.12.113-1',
      notServed: [],
      configs: [
        {
          name: 'lkt/linux-config:/lkt/kernel-config',
          changes: {
            gained: [{ symbol: 'NEW', value: 'y' }],
            lost: [{ symbol: 'OLD', value: 'y' }],
            changed: [{ symbol: 'SIZE', from: '1', to: '2' }],
            offered: ['ASKED'],
          },
        },
      ],
    });
    const source = join(path, 'kernel/linux-source');
    expect(await readFile(join(source, 'build.yml'), 'utf8')).toBe(
      FILES['kernel/linux-source/build.yml'].replace('107', '113'),
    );
    expect(await readFile(join(source, 'debian.lock'), 'utf8')).toContain('linux_6.12.113.orig');
    const dockerfile = await readFile(join(path, 'kernel/linux-config/Dockerfile'), 'utf8');
    expect(dockerfile).toMatch(/lkt\/linux-source:[0-9a-f]{40}@sha256:/);
  });
});

it('skips the comparison when the old source is gone', async () => {
  await inCheckout(async (path, options) => {
    archive.files.delete('debian/pool/main/l/linux/linux_6.12.107.orig.tar.xz');
    await using dir = await temporary();
    const { to, configs } = await update(path, { ...options, store: await openStore(dir.path) });
    expect(to).toBe('6.12.113-1');
    expect(configs).toEqual([{ name: 'lkt/linux-config:/lkt/kernel-config', changes: undefined }]);
  });
});

it('changes nothing when the archive fails while the lock is written', async () => {
  await inCheckout(async (path, options) => {
    const workspace = await openWorkspace(path, { env: ENV });
    const item = await kernelSource(workspace, undefined);
    const found = await findKernelUpdate(workspace, item, options);
    archive.files.delete('debian/dists/trixie/InRelease');
    await expect(
      updateKernel(workspace, item, found, neverReopened, options),
    ).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    for (const name of ['build.yml', 'debian.lock'])
      expect(await readFile(join(path, 'kernel/linux-source', name), 'utf8')).toContain('6.12.107');
  });
});

it('requires a version in build.yml', async () => {
  await using repo = await checkout({
    'kernel/a/build.yml': 'org: lkt\nimage: a\ndebian: {suite: trixie, sources: [linux]}\n',
  });
  const workspace = await openWorkspace(repo.path, { env: ENV });
  const item = await kernelSource(workspace, undefined);
  const options = { store: {}, mirror: () => Promise.reject(new Error('asked')) };
  await expect(
    findKernelUpdate(workspace, item, options as unknown as KernelUpdateOptions),
  ).rejects.toThrow('kernel/a/build.yml: has no exact version of linux');
});
