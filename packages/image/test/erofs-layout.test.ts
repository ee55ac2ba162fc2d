import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { parentPath, readTar, SOURCE_DATE_EPOCH, type Store } from '@lkt/oci';
import { expect, it } from 'vitest';
import { readFileFacts, readInitrd } from '@lkt/formats';
import { directoryListing, run, sha256 } from '@lkt/testing/file-listing';
import { composeImage } from '../src/compose.ts';
import type { ComposeOptions } from '../src/compose-options.ts';
import { readInitrdInfo } from '../src/initrd/info.ts';
import { readMounted } from '../src/initrd/mounted-reader.ts';
import {
  chunks,
  collect,
  type Content,
  image,
  PLATFORM,
  Recorder,
  sampleConfig,
  tarBytes,
  tempDir,
  tempStore,
} from './support.ts';

const LISTS = ['usr/share/lkt/manifest', 'usr/share/lkt/roots'];

/** The sample, with an init and a command line that take an erofs. */
async function erofsConfig(
  store: Store,
  kernel?: Readonly<Record<string, Content>>,
): Promise<string> {
  const able = await image(store, [{ able: '1' }], { Labels: { 'lkt.guest.features': 'erofs' } });
  const text = (await sampleConfig(store))
    .replace('console=ttyS0', 'console=ttyS0 rootfstype=ramfs')
    .replace('\nonboot:', `\n  - lkt/able:1@${able}\nonboot:`);
  const named = kernel && (await image(store, [kernel]));
  const own =
    named === undefined ? text : text.replace(/lkt\/kernel:1@\S+/, `lkt/kernel:1@${named}`);
  return `${own}layout: erofs\n`;
}

async function compose(
  store: Store,
  text: string,
  options: Partial<ComposeOptions> = {},
): Promise<string> {
  const outDir = tempDir();
  await composeImage({
    configs: [{ path: 'system.yml', text }],
    store,
    format: ['kernel+initrd'],
    outDir,
    name: 'system',
    platform: PLATFORM,
    homeDir: outDir,
    ...options,
  });
  return join(outDir, 'system');
}

/** What the kernel unpacks of an initrd, by path; of directories nothing. */
async function filesOf(path: string): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const seen = new Set(['']);
  for await (const entry of readInitrd(chunks(readFileSync(path)))) {
    expect(seen).toContain(parentPath(entry.path));
    if (entry.type === 'directory') seen.add(entry.path);
    else files.set(entry.path, await collect(entry.content ?? chunks(Buffer.of())));
  }
  return files;
}

interface Listed {
  readonly sum: string;
  readonly file: string;
  readonly target: string;
}

function listed(files: ReadonlyMap<string, Buffer>): readonly Listed[] {
  const [head, ...lines] = (files.get('usr/share/lkt/roots') ?? '').toString().trim().split('\n');
  expect(head).toBe(`lkt-roots 1 ${lines.length}`);
  return lines.map((line) => {
    const [sum = '', file = '', target = ''] = line.split(' ');
    return { sum, file, target };
  });
}

it.for(['zstd', 'none'] as const)(
  'the file systems hold the tree, each where the list says, packed by %s',
  async (compressor) => {
    const store = await tempStore();
    const format = ['kernel+initrd', 'tar'] as const;
    const text = `${await erofsConfig(store)}volumes: [{name: site, image: ${/lkt\/runc:1@\S+/.exec(await sampleConfig(store))?.[0]}}]\n`;
    const built = await compose(store, text, { compressor, format });
    const files = await filesOf(`${built}-initrd.img`);
    const roots = listed(files);
    expect(roots.map(({ file, target }) => [file, target])).toEqual([
      ['roots/root.erofs', '/'],
      ['roots/containers.erofs', '/containers'],
      // Its image binds /b, which it does not have.
      ['roots/containers/onboot/000-first/lower.erofs', '/containers/onboot/000-first/lower'],
      ['roots/containers/volumes/site/lower.erofs', '/containers/volumes/site/lower'],
    ]);
    expect([...files.keys()].toSorted()).toEqual(
      ['init', ...roots.map(({ file }) => file), 'usr/share/lkt/initrd', ...LISTS].toSorted(),
    );

    const dir = tempDir();
    const out = join(dir, 'out');
    for (const { sum, file, target } of roots) {
      const data = files.get(file) ?? Buffer.of();
      expect(crc32(data).toString(16).padStart(8, '0')).toBe(sum);
      writeFileSync(join(dir, 'x'), data);
      run(
        'fsck.erofs',
        '-d1',
        '--overwrite',
        '--xattrs',
        `--extract=${out}${target}`,
        join(dir, 'x'),
      );
    }
    const plain = join(dir, 'plain');
    mkdirSync(plain);
    run('bsdtar', '-xpf', `${built}.tar`, '-C', plain);
    rmSync(join(plain, 'boot'), { recursive: true });
    rmSync(join(plain, 'usr/share/lkt/manifest'));
    utimesSync(join(plain, 'usr/share/lkt'), SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
    expect(directoryListing(out)).toEqual(directoryListing(plain));
    expect(files.get('init')).toEqual(readFileSync(join(plain, 'init')));
  },
);

it('is shown as the system has it once it runs', async () => {
  const store = await tempStore();
  const built = await compose(store, await erofsConfig(store), {
    format: ['kernel+initrd', 'tar'],
  });
  const initrd = readInitrd(chunks(readFileSync(`${built}-initrd.img`)));
  const shown = new Map(await readFileFacts(readMounted(initrd)));
  const expected = new Map(await readFileFacts(readTar(chunks(readFileSync(`${built}.tar`)))));
  // What stands only in one of them: the lists of an initrd, and where init mounts.
  for (const path of ['mnt', 'usr/share/lkt/initrd', ...LISTS]) shown.delete(path);
  for (const path of expected.keys())
    if (path.startsWith('boot') || LISTS.includes(path)) expected.delete(path);
  const plain = [...expected].map(([path, facts]) => {
    const { source: _source, location: _location, ...rest } = facts;
    return [path, rest];
  });
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(plain));
});

it('files that are called so are files where no list mounts them', async () => {
  const store = await tempStore();
  const file = '  - {path: roots/a.erofs, contents: text}\n';
  const text = (await sampleConfig(store)).replace('files:\n', `files:\n${file}`);
  const data = readFileSync(`${await compose(store, text)}-initrd.img`);
  const shown = await readFileFacts(readMounted(readInitrd(chunks(data))));
  expect(Object.fromEntries(shown)).toEqual(
    Object.fromEntries(await readFileFacts(readInitrd(chunks(data)))),
  );
  expect(shown.get('roots/a.erofs')?.size).toBe(4);
});

it('lists in the manifest what the kernel unpacks, and says how much memory that takes', async () => {
  const store = await tempStore();
  const built = await compose(store, await erofsConfig(store));
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
    sha256(`${await compose(store, text, { compressor })}-initrd.img`);
  expect({ none: await digestOf('none'), lz4: await digestOf('lz4') }).toMatchInlineSnapshot(`
    {
      "lz4": "2734b52ab4ce686694a21ef7c9051ee2d8403df3d77f61d0ab7345669ede3377",
      "none": "532e087601c9af02cba00f61a71f6c6fe72b300a26e0a1d68e11ced7ed8b98fa",
    }
  `);
  // What is in the cache is the same.
  const other = await tempStore();
  for (const compressor of ['none', 'lz4'] as const) {
    const fresh = `${await compose(other, await erofsConfig(other), { compressor })}-initrd.img`;
    expect(sha256(fresh)).toBe(await digestOf(compressor));
  }
});

it('makes only the file systems anew of which something changed', async () => {
  const store = await tempStore();
  const text = await erofsConfig(store);
  const made = async (config: string): Promise<readonly string[]> => {
    const recorder = new Recorder();
    await compose(store, config, { reporter: recorder });
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

it('has the root of a read-only container as it is, if that has a place for each of its mounts', async () => {
  const store = await tempStore();
  const text = await erofsConfig(store);
  const targets = async (files: Readonly<Record<string, Content>>): Promise<readonly string[]> => {
    const binds = ['/a:/b', '/c:/b/within', '/etc/hosts:/etc/hosts', '/d:/link/e'];
    const labels = { 'org.mobyproject.config': JSON.stringify({ binds }) };
    const service = await image(store, [files], { Cmd: ['/bin/serve'], Labels: labels });
    const config = text.replaceAll(/lkt\/service:1@\S+/g, `lkt/service:1@${service}`);
    const built = await compose(store, config);
    const roots = listed(await filesOf(`${built}-initrd.img`));
    return roots.flatMap(({ target }) => (target.includes('first') ? [target] : []));
  };
  const all = { 'bin/': '', 'bin/serve': 'x', 'b/': '', 'x/': '', 'x/e/': '', link: { link: 'x' } };
  expect(await targets(all)).toEqual(['/containers/onboot/000-first/rootfs']);
  const { link: _, ...some } = all;
  expect(await targets(some)).toEqual(['/containers/onboot/000-first/lower']);
});

it('puts what the config puts into the root of a container into its file system', async () => {
  const store = await tempStore();
  const path = 'containers/onboot/000-first/lower/etc/extra';
  const text = (await erofsConfig(store)).replace(
    'files:\n',
    `files:\n  - {path: ${path}, contents: more}\n  - {path: manifest, directory: true}\n`,
  );
  const files = await filesOf(`${await compose(store, text)}-initrd.img`);
  const dir = tempDir();
  const own = listed(files).find(({ target }) => target.endsWith('/lower'));
  writeFileSync(join(dir, 'x'), files.get(own?.file ?? '') ?? '');
  run('fsck.erofs', `--extract=${join(dir, 'out')}`, join(dir, 'x'));
  expect(readFileSync(join(dir, 'out/etc/extra'), 'utf8')).toBe('more');
  expect(listed(files).map(({ target }) => target)).not.toContain('/manifest');
});

it('brings the modules that load-root lists', async () => {
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
  const built = await compose(store, await erofsConfig(store, kernel));
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
    compose(store, await erofsConfig(store, { ...kernel, 'kernel.tar': await tarBytes(lost) })),
  ).rejects.toThrow(
    'load-root of kernel.tar of lkt/kernel:1 (kernel) lists /usr/lib/modules/1/lost.ko, which is not there',
  );
  const none = { ...kernel, 'kernel.tar': await tarBytes({}) };
  await expect(compose(store, await erofsConfig(store, none))).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(
      'has CONFIG_EROFS_FS=m, and no /usr/lib/modules/load-root lists it',
    ) as string,
  });
});

it.for([
  ['xz', (text: string) => text, 'UNSUPPORTED', 'layout: lkt does not pack an erofs with xz'],
  [
    'zstd',
    (text: string) => text.replace(' rootfstype=ramfs', ''),
    'CONFIG_INVALID',
    'layout: the kernel mounts a file only of a ramfs',
  ],
  [
    'zstd',
    (text: string) => text.replace(/ {2}- lkt\/able:.*\n/, ''),
    'UNSUPPORTED',
    'layout: no image of init can do it',
  ],
  [
    'zstd',
    (text: string) => text.replace(/ {2}- lkt\/init:.*\n/, ''),
    'UNSUPPORTED',
    'layout: it needs an init that is the file /init, and no image has one',
  ],
] as const)('says what is missing: %#', async ([compressor, change, code, message]) => {
  const store = await tempStore();
  const text = change(await erofsConfig(store));
  await expect(compose(store, text, { compressor })).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message) as string,
    fix: expect.any(String) as string,
  });
  await compose(store, text.replace('layout: erofs', 'layout: cpio'), { compressor });
});

it.for([
  ['CONFIG_EROFS_FS', 'none', 'use lkt/kernel-debian or lkt/linux, or take out "layout"'],
  [
    'CONFIG_EROFS_FS_BACKED_BY_FILE',
    'none',
    'use lkt/kernel-debian or lkt/linux, or take out "layout"',
  ],
  ['CONFIG_EROFS_FS_ZIP', 'lz4', 'use --compressor none'],
  ['CONFIG_EROFS_FS_ZIP_DEFLATE', 'gzip', 'use --compressor zstd or lz4 or none'],
  ['CONFIG_EROFS_FS_ZIP_ZSTD', 'zstd', 'use --compressor gzip or lz4 or none'],
] as const)(
  'a kernel without %s cannot mount what %s has packed',
  async ([option, compressor, fix]) => {
    const store = await tempStore();
    const options = ['', '_BACKED_BY_FILE', '_ZIP', '_ZIP_DEFLATE', '_ZIP_ZSTD'];
    const lines = options.map((end) => `CONFIG_EROFS_FS${end}=y\n`);
    const unpacks = ['GZIP', 'LZ4', 'ZSTD'].map((name) => `CONFIG_RD_${name}=y\n`);
    const composed = async (config: string): Promise<string> => {
      const kernel = { kernel: 'k', 'kernel-config': config, 'kernel.tar': await tarBytes({}) };
      return compose(store, await erofsConfig(store, kernel), { compressor });
    };
    const all = [...unpacks, ...lines].join('');
    expect(statSync(`${await composed(all)}-initrd.img`).size).toBeGreaterThan(0);
    await expect(
      composed(all.replace(`${option}=y\n`, `# ${option} is not set\n`)),
    ).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining(`does not have ${option}`) as string,
      fix,
    });
  },
);
