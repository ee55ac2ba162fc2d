import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, parseYaml } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ImageCaches } from '../src/image-caches.ts';
import { allowancesOf } from '../src/tree/allowances.ts';
import { type PackageImage, type Plan, planImage, type PlanOptions } from '../src/plan.ts';
import { parseConfig, collect, image, PLATFORM, tarBytes, tempDir, tempStore } from './support.ts';

async function plan(
  store: Store,
  text: string,
  options: Partial<PlanOptions> & { readonly path?: string } = {},
): Promise<Plan> {
  const file = { path: options.path ?? 'system.yml', text };
  const caches = new ImageCaches(store);
  onTestFinished(async () => caches[Symbol.asyncDispose]());
  return planImage(parseConfig(file), { store, caches, platform: PLATFORM, ...options });
}

function shown({ root }: Plan): Record<string, string> {
  return Object.fromEntries(
    [...root.entries.values()].map(({ path, type, mode, uid, gid, link }) => [
      path,
      `${type} ${mode.toString(8)} ${uid}:${gid}${link === undefined ? '' : ` -> ${link}`}`,
    ]),
  );
}

async function textOf(planned: Plan, path: string): Promise<string> {
  return (await bytesOf(planned, path)).toString();
}

async function bytesOf({ root }: Plan, path: string): Promise<Buffer> {
  const entry = root.entries.get(path);
  const part = root.parts[entry?.part ?? -1];
  for await (const { data } of part?.contents.read(new Set([entry?.content ?? ''])) ?? [])
    return collect(data);
  throw new Error(`no ${path}`);
}

describe('references', () => {
  it('need a digest', async () => {
    const store = await tempStore();
    await expect(plan(store, 'init:\n  - lkt/init:1\n')).rejects.toMatchObject({
      code: 'PIN_MISSING',
      message: 'system.yml:2:5: init[0]: lkt/init:1 has no digest',
      fix: 'run: lkt pin system.yml',
      detail: '  2 |   - lkt/init:1\n    |     ^^^^^^^^^^',
    });
  });

  it('to packages of the checkout are resolved', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ init: 'x' }]);
    const asked: string[] = [];
    const full = `docker.io/lkt/init:1@${digest}`;
    const resolvePackage = async (reference: string): Promise<PackageImage> => {
      asked.push(reference);
      return { digest, full };
    };
    const planned = await plan(
      store,
      'init: ["@pkg:../pkg/init"]\nfiles: [{path: m, metadata: yaml}]',
      { resolvePackage },
    );
    expect(planned.root.entries.has('init')).toBe(true);
    expect(new Set(asked)).toEqual(new Set(['@pkg:../pkg/init']));
    expect(planned.root.parts[0]?.origin.source).toBe(full);
    expect(await textOf(planned, 'm')).toContain(`init:\n- ${full}\n`);
    expect(planned.root.parts[0]?.label).toBe('@pkg:../pkg/init (init[0])');
    await expect(plan(store, 'init: ["@pkg:x"]')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('report a missing image at its position', async () => {
    const store = await tempStore();
    const digest = digestOf('nothing');
    await expect(plan(store, `init: [lkt/init:1@${digest}]`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `system.yml:1:8: init[0]: lkt/init:1: blob ${digest} is not in the store`,
    });
  });

  it('report a missing platform', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ init: 'x' }]);
    const platform = { os: 'linux', architecture: 'arm64' };
    await expect(plan(store, `init: [lkt/init:1@${digest}]`, { platform })).rejects.toThrow(
      `system.yml:1:8: init[0]: lkt/init:1: image ${digest} is not available for linux/arm64`,
    );
  });

  it('report an invalid label with the name of the image', async () => {
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

describe('rejects settings that the guest does not support', () => {
  it.each([
    [
      'services: [{name: a, image: IMAGE, restart: always}]',
      '1:121: services[0].restart: no image',
    ],
    ['services: [{name: a, image: IMAGE, seccomp: {defaultAction: SCMP_ACT_LOG}}]', 'no image of'],
    [
      'services: [{name: a, image: IMAGE, apparmor: docker-default}]',
      'no image of init supports it',
    ],
    [
      'onboot: [{name: a, image: IMAGE, onfailure: reboot}]',
      'onboot[0].onfailure: no image of init',
    ],
    ['onboot: [{name: a, image: IMAGE, timeout: 30}]', 'onboot[0].timeout: no image of init'],
    [
      'services: [{name: a, image: IMAGE, runtime: {mkdir: [/a, {path: /b, uid: 1}]}}]',
      'services[0].runtime.mkdir: no image of init supports it',
    ],
  ])('%s', async (text, message) => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }]);
    const failure = plan(store, text.replace('IMAGE', `"lkt/a:1@${digest}"`));
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('also what the label of an image has, unless it has no effect in its section', async () => {
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

  it('checks interfaces too, if an image of init lists its features', async () => {
    const store = await tempStore();
    const Labels = { 'lkt.guest.features': '' };
    const silent = await image(store, [{ init: 'x' }]);
    const saying = await image(store, [{ init: 'x' }], { Labels });
    const text = (init: string): string => `init: [lkt/init:1@${init}]
services:
  - name: a
    image: lkt/a:1@${silent}
    runtime: {interfaces: [{name: eth1}]}
`;
    await plan(store, text(silent));
    await expect(plan(store, text(saying))).rejects.toThrow(
      'system.yml:5:27: services[0].runtime.interfaces: no image of init supports it',
    );
  });

  it('rejects a container whose runtime class is not supported', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }]);
    const text = (init: string): string => `init: [lkt/init:1@${init}]
services:
  - name: a
    image: lkt/a:1@${digest}
    runtimeClass: gvisor
`;
    const other = await image(store, [{ init: 'x' }], {
      Labels: { 'lkt.guest.features': 'runtimeClass runtimeClass:other' },
    });
    await expect(plan(store, text(other))).rejects.toThrow(
      'system.yml:5:19: services[0].runtimeClass: no image of init supports it',
    );
    const able = await image(store, [{ init: 'x' }], {
      Labels: { 'lkt.guest.features': 'runtimeClass:gvisor' },
    });
    const spec = await textOf(await plan(store, text(able)), 'containers/services/a/config.json');
    expect(JSON.parse(spec)).toMatchObject({ annotations: { 'lkt.runtimeClass': 'gvisor' } });
  });

  it('writes settings that an image of init supports', async () => {
    const store = await tempStore();
    const Labels = { 'lkt.guest.features': 'restart after ready seccomp mkdir' };
    const init = await image(store, [{ init: 'x' }], { Labels });
    const digest = await image(store, [{ x: 'x' }]);
    const system = await plan(
      store,
      `init: [lkt/init:1@${init}]
services:
  - name: a
    image: lkt/a:1@${digest}
    seccomp: {defaultAction: SCMP_ACT_ERRNO, syscalls: [{names: [read], action: SCMP_ACT_ALLOW}]}
  - name: b
    image: "lkt/a:1@${digest}"
    after: [a]
    restart: on-failure
    ready: {log: up}
    runtime: {mkdir: [/plain, {path: /own, uid: 686, gid: 687, mode: '0700'}, {path: /read, gid: 5}]}
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
      mkdir: [
        '/plain',
        { path: '/own', uid: 686, gid: 687, mode: 0o700 },
        { path: '/read', gid: 5 },
      ],
    });
  });
});

describe('rejects unsupported fields', () => {
  it.each([
    ['trust: {org: [lkt]}', '1:8: trust: the signatures that it requires have not been verified'],
  ])('%s', async (text, message) => {
    const failure = plan(await tempStore(), text);
    await expect(failure).rejects.toThrow(`system.yml:${message}`);
    await expect(failure).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});

describe('kernel', () => {
  it('needs the requested files', async () => {
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

  it('reports a damaged archive by name', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ kernel: 'k', 'kernel.tar': 'no tar' }]);
    await expect(plan(store, `kernel: {image: "lkt/k:1@${digest}"}`)).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      message: expect.stringContaining('kernel.tar of lkt/k:1: ') as unknown,
    });
  });
});

describe('files', () => {
  it('have modes, owners and parent directories', async () => {
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

  it('keep existing directories unchanged', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ 'etc/': '', 'opt/': { type: 'directory', mode: 0o711 } }]);
    const planned = await plan(
      store,
      `init: [lkt/i:1@${digest}]\nfiles: [{path: etc/key, contents: x}, {path: opt/x, contents: x}]`,
    );
    expect(shown(planned)).toMatchObject({ etc: 'directory 755 0:0', opt: 'directory 711 0:0' });
  });

  it('are read from the host, relative to the config or the home directory', async () => {
    const store = await tempStore();
    const dir = tempDir();
    mkdirSync(join(dir, 'home'));
    writeFileSync(join(dir, 'near'), 'near');
    writeFileSync(join(dir, 'home/key'), 'key');
    const planned = await plan(
      store,
      'files: [{path: n, source: ./near}, {path: k, source: ~/key}, {path: o, source: gone, optional: true}]',
      { path: join(dir, 'system.yml'), homeDir: join(dir, 'home') },
    );
    expect(await textOf(planned, 'n')).toBe('near');
    expect(await textOf(planned, 'k')).toBe('key');
    expect(planned.root.entries.has('o')).toBe(false);
  });

  it('report unreadable host files', async () => {
    const store = await tempStore();
    const dir = tempDir();
    const path = join(dir, 'system.yml');
    await expect(plan(store, 'files: [{path: a, source: gone}]', { path })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      fix: 'check the path, or set "optional: true"',
    });
    execFileSync('mkfifo', [join(dir, 'fifo')]);
    await expect(plan(store, 'files: [{path: a, source: fifo}]', { path })).rejects.toThrow(
      'is not a regular file',
    );
    await expect(
      plan(store, 'files: [{path: a, source: "*.conf"}]', { path }),
    ).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `${path}:1:27: files[0].source: *.conf matches nothing`,
    });
    await expect(plan(store, 'files: [{path: a, source: ~/x}]')).rejects.toThrow(
      'there is no home directory',
    );
  });

  it('report host files that change while they are read', async () => {
    const store = await tempStore();
    const dir = tempDir();
    writeFileSync(join(dir, 'f'), 'one');
    const planned = await plan(store, 'files: [{path: a, source: f}]', {
      path: join(dir, 'system.yml'),
    });
    chmodSync(join(dir, 'f'), 0o644);
    writeFileSync(join(dir, 'f'), 'two');
    await expect(textOf(planned, 'a')).rejects.toThrow('changed while it was read');
  });

  it('include host directories, with links and execute permissions', async () => {
    const store = await tempStore();
    const dir = tempDir();
    mkdirSync(join(dir, 'tree/sub'), { recursive: true });
    writeFileSync(join(dir, 'tree/plain'), 'plain', { mode: 0o600 });
    writeFileSync(join(dir, 'tree/sub/tool'), 'tool', { mode: 0o700 });
    symlinkSync('../../../etc/passwd', join(dir, 'tree/sub/link'));
    const digest = await image(store, [{ etc: { type: 'directory', mode: 0o711 } }]);
    const planned = await plan(
      store,
      `init: [lkt/i:1@${digest}]
files:
  - {path: etc, source: tree, uid: 5}
  - {path: opt/x, source: tree/, mode: "0640"}
`,
      { path: join(dir, 'system.yml') },
    );
    expect(shown(planned)).toMatchObject({
      etc: 'directory 755 0:0',
      'etc/plain': 'file 644 5:0',
      'etc/sub': 'directory 755 5:0',
      'etc/sub/tool': 'file 755 5:0',
      'etc/sub/link': 'symlink 777 5:0 -> ../../../etc/passwd',
      opt: 'directory 750 0:0',
      'opt/x': 'directory 750 0:0',
      'opt/x/plain': 'file 640 0:0',
      'opt/x/sub': 'directory 750 0:0',
    });
    expect(await textOf(planned, 'etc/sub/tool')).toBe('tool');
  });

  it('include matches of a pattern below the path', async () => {
    const store = await tempStore();
    const dir = tempDir();
    mkdirSync(join(dir, 'conf/deep'), { recursive: true });
    for (const name of ['a.conf', 'b.conf', 'c.txt', 'deep/d.conf', 'x[1].conf'])
      writeFileSync(join(dir, 'conf', name), name);
    const planned = await plan(
      store,
      `files:
  - {path: etc/flat, source: conf/*.conf}
  - {path: etc/all, source: conf/**/*.conf}
  - {path: etc/one, source: "conf/x[1].conf"}
  - {path: etc/none, source: "conf/*.ini", optional: true}
`,
      { path: join(dir, 'system.yml') },
    );
    const paths = [...planned.root.entries.keys()].filter((path) => path.startsWith('etc/'));
    expect(paths.toSorted()).toEqual([
      'etc/all',
      'etc/all/a.conf',
      'etc/all/b.conf',
      'etc/all/deep',
      'etc/all/deep/d.conf',
      'etc/all/x[1].conf',
      'etc/flat',
      'etc/flat/a.conf',
      'etc/flat/b.conf',
      'etc/flat/x[1].conf',
      'etc/one',
    ]);
    expect(shown(planned)).toMatchObject({
      'etc/flat/a.conf': 'file 644 0:0',
      'etc/one': 'file 600 0:0',
    });
  });

  it('include the config itself, as JSON and as YAML that is an image config', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }]);
    const planned = await plan(
      store,
      `services: [{name: s, image: "lkt/s:1@${digest}", resources: {cpu: {shares: 5}}, command: ["1"]}]
files: [{path: a, metadata: json}, {path: b, metadata: yaml}]
`,
    );
    const service = {
      name: 's',
      image: `docker.io/lkt/s:1@${digest}`,
      command: ['1'],
      resources: { cpu: { shares: 5 } },
    };
    expect(JSON.parse(await textOf(planned, 'a'))).toMatchObject({
      kernel: { image: '' },
      init: null,
      services: [service],
    });
    const yaml = await textOf(planned, 'b');
    expect(yaml).toContain('\n  command:\n  - "1"\n');
    expect(parseYaml({ path: 'b', text: yaml }).plain()).toMatchObject({ services: [service] });
    const again = await plan(store, yaml);
    expect(await textOf(again, 'b')).toBe(yaml);
  });
});

describe('volumes', () => {
  it('include an image as OCI layout, for the named platforms', async () => {
    const store = await tempStore();
    const digest = await image(store, [{ x: 'x' }]);
    const planned = await plan(
      store,
      `volumes: [{name: v, image: "lkt/v:1@${digest}", format: oci}]`,
    );
    const lower = 'containers/volumes/v/lower';
    const index = JSON.parse(await textOf(planned, `${lower}/index.json`)) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    expect(index.manifests).toMatchObject([
      {
        digest,
        annotations: { 'org.opencontainers.image.ref.name': `docker.io/lkt/v:1@${digest}` },
      },
    ]);
    const blobs = [...planned.root.entries.keys()].filter((path) =>
      path.startsWith(`${lower}/blobs/sha256/`),
    );
    expect(blobs).toHaveLength(3);
    for (const blob of blobs)
      expect(`${lower}/blobs/${digestOf(await bytesOf(planned, blob)).replace(':', '/')}`).toBe(
        blob,
      );
    expect(planned.root.entries.has(`${lower}/x`)).toBe(false);
    await expect(
      plan(
        store,
        `volumes: [{name: v, image: "lkt/v:1@${digest}", format: oci, platforms: [linux/arm64]}]`,
      ),
    ).rejects.toThrow('volumes[0].image: lkt/v:1: image');
  });
});

describe('containers', () => {
  it('are bundles, read-only or with an overlay; a repeated image is stored once', async () => {
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

it('lists what each container may do beyond the defaults', async () => {
  const store = await tempStore();
  const Labels = {
    'lkt.guest.features': 'seccomp',
    'org.mobyproject.config': '{"allow":["mount"],"ipc":"host"}',
  };
  const reference = `"lkt/a:1@${await image(store, [{ init: 'x' }], { Labels })}"`;
  const { root } = await plan(
    store,
    `init: [${reference}]
onboot:
  - {name: format, image: ${reference}, allow: [namespaces, bpf, bpf], ipc: new}
services:
  - {name: a, image: ${reference}}
  - {name: b, image: ${reference}, allow: [], ipc: new}
  - {name: c, image: ${reference}, allow: [], ipc: new, seccomp: {defaultAction: SCMP_ACT_ALLOW}}
`,
  );
  expect(await allowancesOf(root)).toEqual([
    'onboot/000-format: bpf, namespaces',
    'services/a: ipc, mount',
    'services/c: its own seccomp',
  ]);
});
