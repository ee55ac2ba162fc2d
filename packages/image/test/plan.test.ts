import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestOf } from '@lkt/core';
import { type Store, UnpackedLayers } from '@lkt/oci';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Plan, planImage, type PlanOptions } from '../src/plan.ts';
import { collect, image, PLATFORM, tarBytes, tempDir, tempStore } from './support.ts';

async function plan(
  store: Store,
  text: string,
  options: Partial<PlanOptions> & { readonly path?: string } = {},
): Promise<Plan> {
  const file = { path: options.path ?? 'system.yml', text };
  const unpacked = new UnpackedLayers(store);
  onTestFinished(async () => unpacked[Symbol.asyncDispose]());
  return planImage([file], { store, unpacked, platform: PLATFORM, ...options });
}

function shown({ root }: Plan): Record<string, string> {
  return Object.fromEntries(
    [...root.entries.values()].map(({ path, type, mode, uid, gid, link }) => [
      path,
      `${type} ${mode.toString(8)} ${uid}:${gid}${link === undefined ? '' : ` -> ${link}`}`,
    ]),
  );
}

async function textOf({ root }: Plan, path: string): Promise<string> {
  const entry = root.entries.get(path);
  const part = root.parts[entry?.part ?? -1];
  for await (const { data } of part?.contents.read(new Set([entry?.content ?? ''])) ?? [])
    return (await collect(data)).toString();
  throw new Error(`no ${path}`);
}

describe('references', () => {
  it('need a digest', async () => {
    const store = await tempStore();
    await expect(plan(store, 'init:\n  - lkt/init:1\n')).rejects.toMatchObject({
      code: 'PIN_MISSING',
      message: 'system.yml:2:5: init[0]: lkt/init:1 has no digest',
      fix: 'lkt pin system.yml',
      detail: '  2 |   - lkt/init:1\n    |     ^^^^^^^^^^',
    });
  });

  it('to packages of the checkout are resolved', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ init: 'x' }]);
    const asked: string[] = [];
    const resolvePackage = async (reference: string): Promise<Digest> => {
      asked.push(reference);
      return digest;
    };
    const { root } = await plan(store, 'init: ["@pkg:../pkg/init"]', { resolvePackage });
    expect(root.entries.has('init')).toBe(true);
    expect(asked).toEqual(['@pkg:../pkg/init']);
    await expect(plan(store, 'init: ["@pkg:x"]')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('to images that the store does not have are named where they stand', async () => {
    const store = await tempStore();
    const digest = digestOf('nothing');
    await expect(plan(store, `init: [lkt/init:1@${digest}]`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `system.yml:1:8: init[0]: lkt/init:1: blob ${digest} is not in the store`,
    });
  });

  it('to images of another platform too', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ init: 'x' }]);
    const platform = { os: 'linux', architecture: 'arm64' };
    await expect(plan(store, `init: [lkt/init:1@${digest}]`, { platform })).rejects.toThrow(
      `system.yml:1:8: init[0]: lkt/init:1: image ${digest} is not for linux/arm64`,
    );
  });

  it('with a label that is no config name the image', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }], {
      Labels: { 'org.mobyproject.config': '{"capabilites": []}' },
    });
    await expect(
      plan(store, `services: [{name: s, image: "lkt/s:1@${digest}"}]`),
    ).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: 'label org.mobyproject.config of lkt/s:1:1:2: unknown key "capabilites"',
    });
  });
});

describe('what the guest does not know is refused', () => {
  it.each([
    [
      'services: [{name: a, image: IMAGE, restart: always}]',
      '1:121: services[0].restart: no image',
    ],
    ['services: [{name: a, image: IMAGE, seccomp: {defaultAction: SCMP_ACT_LOG}}]', 'no image of'],
    ['services: [{name: a, image: IMAGE, apparmor: docker-default}]', 'no image of init can do it'],
    [
      'onboot: [{name: a, image: IMAGE, onfailure: reboot}]',
      'onboot[0].onfailure: no image of init',
    ],
  ])('%s', async (text, message) => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }]);
    const failure = plan(store, text.replace('IMAGE', `"lkt/a:1@${digest}"`));
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('also what the label of an image has, unless it means nothing in its section', async () => {
    const store = await tempStore();
    const Labels = { 'org.mobyproject.config': '{"restart":"always"}' };
    const digest = await image(store, [{ x: 'x' }], { Labels });
    const config = (section: string): string =>
      `${section}: [{name: a, image: "lkt/a:1@${digest}"}]`;
    await expect(plan(store, config('services'))).rejects.toThrow(
      `system.yml:1:19: services[0].name: the label of lkt/a:1@${digest} has "restart", and no`,
    );
    await plan(store, config('onboot'));
  });

  it('and written where init finds it when an image of init says that it knows', async () => {
    const store = await tempStore();
    const Labels = { 'lkt.guest.features': 'restart after ready seccomp' };
    const init = await image(store, [{ init: 'x' }], { Labels });
    const digest = await image(store, [{ x: 'x' }]);
    const system = await plan(
      store,
      `init: [lkt/init:1@${init}]
services:
  - name: a
    image: lkt/a:1@${digest}
    seccomp: {defaultAction: SCMP_ACT_ERRNO, syscalls: [{names: [read], action: SCMP_ACT_ALLOW}]}
  - {name: b, image: "lkt/a:1@${digest}", after: [a], restart: on-failure, ready: {log: up}}
`,
    );
    const json = async (path: string): Promise<unknown> => {
      const text = await textOf(system, path);
      return JSON.parse(text);
    };
    expect(await json('containers/services/a/config.json')).toMatchObject({
      linux: {
        seccomp: {
          defaultAction: 'SCMP_ACT_ERRNO',
          syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }],
        },
      },
    });
    expect(await json('containers/services/b/runtime.json')).toMatchObject({
      restart: 'on-failure',
      after: ['a'],
      ready: { log: 'up', timeout: 60 },
    });
  });
});

describe('what is not there yet is refused', () => {
  it.each([
    ['trust: {org: [lkt]}', '1:8: trust: nobody has checked the signatures that it asks for'],
    ['volumes: [{name: v, format: oci}]', '1:18: volumes[0].name: a volume with "format: oci"'],
    ['files: [{path: a, metadata: json}]', '1:9: files[0]: files with metadata'],
  ])('%s', async (text, message) => {
    const failure = plan(await tempStore(), text);
    await expect(failure).rejects.toThrow(`system.yml:${message}`);
    await expect(failure).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});

describe('kernel', () => {
  it('has to have what is asked for', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ vmlinuz: 'k', 'modules.tar': await tarBytes({}) }]);
    const config = (rest: string): string => `kernel: {image: "lkt/k:1@${digest}"${rest}}`;
    await expect(plan(store, config(''))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(
        /^system\.yml:1:17: kernel\.image: there is no file "kernel" in the kernel image lkt\/k:1$/,
      ) as unknown,
      fix: 'it has: modules.tar, vmlinuz',
    });
    const binary = ', binary: vmlinuz';
    await expect(plan(store, config(binary))).rejects.toThrow('no file "kernel.tar"');
    await plan(store, config(`${binary}, tar: none`));
    await plan(store, config(`${binary}, tar: ""`));
    await plan(store, config(`${binary}, tar: modules.tar`));
  });

  it('may have a damaged archive, which is an error that names it', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ kernel: 'k', 'kernel.tar': 'no tar' }]);
    await expect(plan(store, `kernel: {image: "lkt/k:1@${digest}"}`)).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      message: expect.stringContaining('kernel.tar of lkt/k:1: ') as unknown,
    });
  });
});

describe('files', () => {
  it('have modes, owners and directories above them', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }]);
    const { root, ...rest } = await plan(
      store,
      `services: [{name: web, image: "lkt/s:1@${digest}"}]
files:
  - {path: a/b, contents: x}
  - {path: /c/d/e, contents: x, mode: "0750", uid: web, gid: 7}
  - {path: c/f, directory: true}
  - {path: c/g, directory: true, mode: "1777"}
  - {path: l/m, symlink: /run/m}
`,
    );
    expect(shown({ ...rest, root })).toMatchObject({
      a: 'directory 700 0:0',
      'a/b': 'file 600 0:0',
      c: 'directory 750 100:7',
      'c/d': 'directory 750 100:7',
      'c/d/e': 'file 750 100:7',
      'c/f': 'directory 700 0:0',
      'c/g': 'directory 1777 0:0',
      l: 'directory 700 0:0',
      'l/m': 'symlink 777 0:0 -> /run/m',
    });
  });

  it('leave directories that are there as they are', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ 'etc/': '', 'opt/': { type: 'directory', mode: 0o711 } }]);
    const planned = await plan(
      store,
      `init: [lkt/i:1@${digest}]\nfiles: [{path: etc/key, contents: x}, {path: opt/x, contents: x}]`,
    );
    expect(shown(planned)).toMatchObject({ etc: 'directory 755 0:0', opt: 'directory 711 0:0' });
  });

  it('come from the host, relative to the config or to the home directory', async () => {
    const store = await tempStore();
    const dir = tempDir();
    mkdirSync(join(dir, 'home'));
    writeFileSync(join(dir, 'near'), 'near');
    writeFileSync(join(dir, 'home/key'), 'key');
    const { root } = await plan(
      store,
      'files: [{path: n, source: ./near}, {path: k, source: ~/key}, {path: o, source: gone, optional: true}]',
      { path: join(dir, 'system.yml'), homeDir: join(dir, 'home') },
    );
    const contents: Record<string, string> = {};
    for (const { entries, contents: source } of root.parts) {
      for await (const { data } of source.read(new Set(['file'])))
        contents[entries.at(-1)?.path ?? ''] = (await collect(data)).toString();
    }
    expect(contents).toMatchObject({ n: 'near', k: 'key' });
    expect(root.entries.has('o')).toBe(false);
  });

  it('of the host that cannot be read are errors', async () => {
    const store = await tempStore();
    const dir = tempDir();
    const path = join(dir, 'system.yml');
    await expect(plan(store, 'files: [{path: a, source: gone}]', { path })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      fix: 'check the path, or say "optional: true"',
    });
    await expect(plan(store, 'files: [{path: a, source: .}]', { path })).rejects.toThrow(
      '. is not a regular file',
    );
    await expect(plan(store, 'files: [{path: a, source: ~/x}]')).rejects.toThrow(
      'there is no home directory',
    );
  });

  it('of the host that change under way are errors', async () => {
    const store = await tempStore();
    const dir = tempDir();
    writeFileSync(join(dir, 'f'), 'one');
    const { root } = await plan(store, 'files: [{path: a, source: f}]', {
      path: join(dir, 'system.yml'),
    });
    chmodSync(join(dir, 'f'), 0o644);
    writeFileSync(join(dir, 'f'), 'two');
    const part = root.parts.find(({ label }) => label === 'files[0]');
    await expect(async () => {
      for await (const { data } of part?.contents.read(new Set(['file'])) ?? [])
        await collect(data);
    }).rejects.toThrow('changed while it was read');
  });
});

describe('containers', () => {
  it('are bundles, read-only or with an overlay; an image that is used again is there once', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }]);
    const planned = await plan(
      store,
      `onboot: [{name: a, image: "lkt/s:1@${digest}"}]
onshutdown: [{name: a, image: "lkt/s:1@${digest}", readonly: true}]
services: [{name: b, image: "lkt/s:1@${digest}"}]
`,
    );
    const paths = Object.keys(shown(planned)).filter((path) => !/lower\/(?!x)/.test(path));
    expect(paths).toEqual([
      'containers',
      'containers/onboot',
      'containers/onboot/000-a',
      'containers/onboot/000-a/config.json',
      'containers/onboot/000-a/lower',
      'containers/onboot/000-a/lower/x',
      'containers/onboot/000-a/rootfs',
      'containers/onboot/000-a/runtime.json',
      'containers/onboot/000-a/tmp',
      'containers/onshutdown',
      'containers/onshutdown/000-a',
      'containers/onshutdown/000-a/config.json',
      'containers/onshutdown/000-a/rootfs',
      'containers/onshutdown/000-a/runtime.json',
      'containers/services',
      'containers/services/b',
      'containers/services/b/config.json',
      'containers/services/b/rootfs',
      'containers/services/b/runtime.json',
      'containers/services/b/tmp',
      'usr',
      'usr/share',
      'usr/share/lkt',
      'usr/share/lkt/manifest',
    ]);
  });
});
