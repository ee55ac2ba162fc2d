import { readFileSync, statSync } from 'node:fs';
import { readTar } from '@lkt/oci';
import { expect, it } from 'vitest';
import { readInitrdInfo } from '../../src/initrd/info.ts';
import { readFileFacts, readInitrd } from '@lkt/formats';
import { sha256 } from '@lkt/testing/file-listing';
import { readMounted } from '../../src/initrd/mounted-reader.ts';
import {
  chunks,
  type Content,
  image,
  Recorder,
  sampleConfig,
  tarBytes,
  tempStore,
} from '../support.ts';
import { LISTS, composeAt, erofsConfig, filesOf, listed } from './erofs-layout-fixture.ts';

it('reads as the files of the running system', async () => {
  const store = await tempStore();
  const built = await composeAt(store, await erofsConfig(store), {
    format: ['kernel+initrd', 'tar'],
  });
  const initrd = readInitrd(chunks(readFileSync(`${built}-initrd.img`)));
  const shown = new Map(await readFileFacts(readMounted(initrd)));
  const expected = new Map(await readFileFacts(readTar(chunks(readFileSync(`${built}.tar`)))));
  // Present in one of them only: the lists of an initrd, and the mount points of init.
  for (const path of ['mnt', 'usr/share/lkt/initrd', ...LISTS]) shown.delete(path);
  for (const path of expected.keys())
    if (path.startsWith('boot') || LISTS.includes(path)) expected.delete(path);
  const plain = [...expected].map(([path, facts]) => {
    const { source: _source, location: _location, ...rest } = facts;
    return [path, rest];
  });
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(plain));
});

it('keeps files in /roots without a list of roots', async () => {
  const store = await tempStore();
  const file = '  - {path: roots/a.erofs, contents: text}\n';
  const text = (await sampleConfig(store)).replace('files:\n', `files:\n${file}`);
  const data = readFileSync(`${await composeAt(store, text)}-initrd.img`);
  const shown = await readFileFacts(readMounted(readInitrd(chunks(data))));
  expect(Object.fromEntries(shown)).toEqual(
    Object.fromEntries(await readFileFacts(readInitrd(chunks(data)))),
  );
  expect(shown.get('roots/a.erofs')?.size).toBe(4);
});

it('lists in the manifest what the kernel unpacks, and its memory', async () => {
  const store = await tempStore();
  const built = await composeAt(store, await erofsConfig(store));
  const files = await filesOf(`${built}-initrd.img`);
  const lines = (files.get(LISTS[0] ?? '') ?? '').toString().trim().split('\n').slice(1);
  const named = lines.filter((line) => line.startsWith('f ')).map((line) => line.split(' '));
  expect(named.map(([, , , , size, path]) => [path, Number(size)])).toEqual(
    [...files]
      .filter(([path]) => !path.endsWith('/manifest') && !path.endsWith('/initrd'))
      .map(([path, { length }]) => [path, length])
      .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  );
  expect(
    lines.filter((line) => line.startsWith('d 0755')).map((line) => line.split(' ')[5]),
  ).toEqual(expect.arrayContaining(['dev', 'mnt', 'proc', 'roots', 'roots/containers']));
  const pages = named.map(([, , , , size]) => Math.ceil(Number(size) / 4096) * 4096);
  expect((await readInitrdInfo(`${built}-initrd.img`))?.unpackedBytes).toBe(
    pages.reduce((sum, size) => sum + size, 0),
  );
});

it('has golden digests', async () => {
  const store = await tempStore();
  const text = await erofsConfig(store);
  const digestOf = async (compressor: 'none' | 'lz4'): Promise<string> =>
    sha256(`${await composeAt(store, text, { compressor })}-initrd.img`);
  expect({ none: await digestOf('none'), lz4: await digestOf('lz4') }).toMatchInlineSnapshot(`
    {
      "lz4": "2734b52ab4ce686694a21ef7c9051ee2d8403df3d77f61d0ab7345669ede3377",
      "none": "532e087601c9af02cba00f61a71f6c6fe72b300a26e0a1d68e11ced7ed8b98fa",
    }
  `);
  // The cache has the same files.
  const other = await tempStore();
  for (const compressor of ['none', 'lz4'] as const) {
    const fresh = `${await composeAt(other, await erofsConfig(other), { compressor })}-initrd.img`;
    expect(sha256(fresh)).toBe(await digestOf(compressor));
  }
});

it('remakes only file systems with changes', async () => {
  const store = await tempStore();
  const text = await erofsConfig(store);
  const made = async (config: string): Promise<readonly string[]> => {
    const recorder = new Recorder();
    await composeAt(store, config, { reporter: recorder });
    return recorder.events.flatMap((event) =>
      event.kind === 'done' && !event.cached ? [event.id] : [],
    );
  };
  expect(await made(text)).toContain('segment roots/root.erofs');
  expect(await made(text)).toEqual([]);
  const label = { 'org.mobyproject.config': '{"capabilities": ["CAP_KILL"], "binds": ["/a:/b"]}' };
  const other = await image(store, [{ 'bin/': '', 'bin/serve': 'y' }], {
    Cmd: ['/bin/serve'],
    Labels: label,
  });
  const changed = text.replaceAll(/lkt\/service:1@\S+/g, `lkt/service:1@${other}`);
  expect(await made(changed)).toEqual([
    'segment roots/containers/onboot/000-first/lower.erofs',
    'segment config',
  ]);
  expect(await made(text.replace('hello', 'welcome').replace('uid: serve', 'uid: 7'))).toEqual([
    'segment roots/containers.erofs',
    'segment config',
  ]);
});

it('mounts the root of a read-only container directly if it has every mount point', async () => {
  const store = await tempStore();
  const text = await erofsConfig(store);
  const targets = async (files: Readonly<Record<string, Content>>): Promise<readonly string[]> => {
    const binds = ['/a:/b', '/c:/b/within', '/etc/hosts:/etc/hosts', '/d:/link/e'];
    const labels = { 'org.mobyproject.config': JSON.stringify({ binds }) };
    const service = await image(store, [files], { Cmd: ['/bin/serve'], Labels: labels });
    const config = text.replaceAll(/lkt\/service:1@\S+/g, `lkt/service:1@${service}`);
    const built = await composeAt(store, config);
    const roots = listed(await filesOf(`${built}-initrd.img`));
    return roots.flatMap(({ target }) => (target.includes('first') ? [target] : []));
  };
  const all = { 'bin/': '', 'bin/serve': 'x', 'b/': '', 'x/': '', 'x/e/': '', link: { link: 'x' } };
  expect(await targets(all)).toEqual(['/containers/onboot/000-first/rootfs']);
  const { link: _, ...some } = all;
  expect(await targets(some)).toEqual(['/containers/onboot/000-first/lower']);
});

it('includes the modules that load-root lists', async () => {
  const store = await tempStore();
  const modules = {
    'usr/lib/modules/load': '1/virtio.ko\n',
    'usr/lib/modules/load-root': '# first\n1/crc.ko\n1/erofs.ko\n',
    'usr/lib/modules/1/crc.ko': 'crc',
    'usr/lib/modules/1/erofs.ko': 'erofs',
    'usr/lib/modules/1/virtio.ko': 'virtio',
  };
  const config =
    'CONFIG_RD_ZSTD=y\nCONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_BACKED_BY_FILE=y\nCONFIG_EROFS_FS_ZIP=y\nCONFIG_EROFS_FS_ZIP_ZSTD=y\n';
  const kernel = { kernel: 'k', 'kernel-config': config, 'kernel.tar': await tarBytes(modules) };
  const built = await composeAt(store, await erofsConfig(store, kernel));
  const files = await filesOf(`${built}-initrd.img`);
  const names = [...files.keys()].filter((path) => path.startsWith('usr/lib/'));
  expect(names.toSorted()).toEqual(
    Object.keys(modules)
      .filter((path) => /root|crc|erofs/.test(path))
      .toSorted(),
  );
  expect(files.get('usr/lib/modules/1/erofs.ko')?.toString()).toBe('erofs');

  const lost = { ...modules, 'usr/lib/modules/load-root': '1/lost.ko\n' };
  await expect(
    composeAt(store, await erofsConfig(store, { ...kernel, 'kernel.tar': await tarBytes(lost) })),
  ).rejects.toThrow(
    'load-root of kernel.tar of lkt/kernel:1 (kernel) lists /usr/lib/modules/1/lost.ko, which does not exist',
  );
  const none = { ...kernel, 'kernel.tar': await tarBytes({}) };
  await expect(composeAt(store, await erofsConfig(store, none))).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(
      'has CONFIG_EROFS_FS=m, and no /usr/lib/modules/load-root lists it',
    ) as string,
  });
});

it.for([
  ['CONFIG_EROFS_FS', 'none', 'use lkt/kernel-debian or lkt/linux, or remove "layout"'],
  [
    'CONFIG_EROFS_FS_BACKED_BY_FILE',
    'none',
    'use lkt/kernel-debian or lkt/linux, or remove "layout"',
  ],
  ['CONFIG_EROFS_FS_ZIP', 'lz4', 'use --compressor none'],
  ['CONFIG_EROFS_FS_ZIP_DEFLATE', 'gzip', 'use --compressor zstd or lz4 or none'],
  ['CONFIG_EROFS_FS_ZIP_ZSTD', 'zstd', 'use --compressor gzip or lz4 or none'],
] as const)('rejects a kernel without %s for compressor %s', async ([option, compressor, fix]) => {
  const store = await tempStore();
  const options = ['', '_BACKED_BY_FILE', '_ZIP', '_ZIP_DEFLATE', '_ZIP_ZSTD'];
  const lines = options.map((end) => `CONFIG_EROFS_FS${end}=y\n`);
  const unpacks = ['GZIP', 'LZ4', 'ZSTD'].map((name) => `CONFIG_RD_${name}=y\n`);
  const composed = async (config: string): Promise<string> => {
    const kernel = { kernel: 'k', 'kernel-config': config, 'kernel.tar': await tarBytes({}) };
    return composeAt(store, await erofsConfig(store, kernel), { compressor });
  };
  const all = [...unpacks, ...lines].join('');
  expect(statSync(`${await composed(all)}-initrd.img`).size).toBeGreaterThan(0);
  await expect(
    composed(all.replace(`${option}=y\n`, `# ${option} is not set\n`)),
  ).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(`lacks ${option}`) as string,
    fix,
  });
});
