import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { digestOf, LktError } from '@lkt/core';
import { readTar, type Store } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { type ComposedImage, composeImage, type ComposeOptions } from '../src/compose.ts';
import { readInitrdInfo } from '../src/initrd/info.ts';
import {
  type Content,
  image,
  link,
  PLATFORM,
  Recorder,
  sampleConfig,
  tarBytes,
  tempDir,
  tempStore,
} from './support.ts';

async function compose(
  store: Store,
  text: string,
  options: Partial<ComposeOptions> = {},
): Promise<ComposedImage & { read: (name: string) => Buffer; outDir: string }> {
  const outDir = options.outDir ?? tempDir();
  const result = await composeImage({
    configs: [{ path: 'system.yml', text }],
    store,
    format: ['kernel+initrd'],
    outDir,
    name: 'system',
    platform: PLATFORM,
    homeDir: outDir,
    ...options,
  });
  return { ...result, outDir, read: (name) => readFileSync(join(outDir, name)) };
}

/** What the kernel would unpack: the archives one after the other, as one listing. */
function unpack(initrd: Buffer): { listing: string[]; dir: string } {
  const dir = tempDir();
  const archives = splitArchives(initrd);
  const listing: string[] = [];
  for (const archive of archives) {
    listing.push(
      ...execFileSync('cpio', ['-it', '--quiet'], { input: archive }).toString().trim().split('\n'),
    );
    execFileSync('cpio', ['-idu', '--quiet'], { input: archive, cwd: dir });
  }
  return { listing, dir };
}

const KERNEL_CONFIG = '# CONFIG_RD_XZ is not set\nCONFIG_RD_GZIP=y\nCONFIG_RD_LZ4=m\n';

const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** As the kernel reads it: zero bytes in between are skipped, what follows starts at a multiple of four. */
function splitArchives(initrd: Buffer): Buffer[] {
  // The last archive is plain and has one file, the trailer is a header of its own.
  const trailer = initrd.lastIndexOf('070701');
  const last = initrd.lastIndexOf('070701', trailer - 1);
  expect(last % 4).toBe(0);
  const archives: Buffer[] = [];
  for (let start = 0; start < last;) {
    expect(initrd.subarray(start, start + 4)).toEqual(ZSTD);
    let end = initrd.indexOf(ZSTD, start + 4);
    while (end !== -1 && end % 4 !== 0) end = initrd.indexOf(ZSTD, end + 1);
    if (end === -1 || end > last) end = last;
    archives.push(zstdDecompressSync(initrd.subarray(start, end)));
    start = end;
  }
  return [...archives, initrd.subarray(last)];
}

/** Every path with all that the kernel gives it, but for what an initrd says of itself. */
function whatIsUnpacked(initrd: Buffer): readonly string[] {
  const format = '%y %m %U %G %s %n %P %l\\n';
  const { dir: cwd } = unpack(initrd);
  return execFileSync('find', ['.', '-mindepth', '1', '-printf', format], { cwd })
    .toString()
    .split('\n')
    .filter((line) => !/ usr\/share\/lkt\/initrd /.test(line))
    .map((line) => line.replace(/^(d \S+ \S+ \S+) \d+ \d+/, '$1'))
    .toSorted();
}

describe('composeImage', () => {
  it('writes kernel, initrd and command line', async () => {
    const store = await tempStore();
    const { read, files, outDir, minimumMemory } = await compose(store, await sampleConfig(store));
    expect(readdirSync(outDir).toSorted()).toEqual([
      'system-cmdline',
      'system-initrd.img',
      'system-kernel',
    ]);
    expect(read('system-kernel').toString()).toBe('the kernel\n');
    expect(read('system-cmdline').toString()).toBe('console=ttyS0');
    for (const { path, digest, size } of files) {
      expect(digestOf(readFileSync(path))).toBe(digest);
      expect(statSync(path).size).toBe(size);
    }
    expect(await readInitrdInfo(join(outDir, 'system-initrd.img'))).toMatchObject({
      minimumMemory,
    });
  });

  it('gives the kernel every path once, its directory first', async () => {
    const store = await tempStore();
    const { read } = await compose(store, await sampleConfig(store));
    const { listing, dir } = unpack(read('system-initrd.img'));
    const seen = new Set<string>(['.']);
    for (const path of listing) {
      const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.';
      expect(seen.has(parent), path).toBe(true);
      const isDirectory = statSync(join(dir, path), { throwIfNoEntry: false })?.isDirectory();
      if (isDirectory !== true) expect(seen.has(path), path).toBe(false);
      seen.add(path);
    }
    expect([...seen]).toEqual(
      expect.arrayContaining([
        'init',
        'usr/lib/modules/1/virtio.ko',
        'usr/bin/runc',
        'etc/issue',
        'containers/onboot/000-first/rootfs/bin/serve',
        'containers/onboot/000-first/runtime.json',
        'containers/services/serve/config.json',
        'usr/share/lkt/manifest',
      ]),
    );
    expect([...seen].filter((path) => /gone|services\/serve\/lower/.test(path))).toEqual([]);
    expect(readFileSync(join(dir, 'etc/motd'), 'utf8')).toBe('hello again');
    expect(statSync(join(dir, 'usr/bin/a')).ino).toBe(statSync(join(dir, 'usr/bin/b')).ino);
  });

  it('lists in the manifest what the kernel unpacks', async () => {
    const store = await tempStore();
    const { read } = await compose(store, await sampleConfig(store));
    const { dir } = unpack(read('system-initrd.img'));
    const [first, ...lines] = readFileSync(join(dir, 'usr/share/lkt/manifest'), 'utf8')
      .trimEnd()
      .split('\n');
    expect(first).toBe(`lkt-manifest 1 ${lines.length}`);
    const found = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%y %m %U %G %s %P\\n'], {
      cwd: dir,
    })
      .toString()
      .trimEnd()
      .split('\n')
      .filter((line) => !/usr\/share\/lkt\/(?:manifest|initrd)$/.test(line))
      .map((line) => {
        const [type, mode = '', uid, gid, size, path] = line.split(' ');
        return [type, mode.padStart(4, '0'), uid, gid, type === 'd' ? '0' : size, path].join(' ');
      });
    expect(lines.toSorted()).toEqual(found.toSorted());
    const paths = lines.map((line) => line.split(' ')[5] ?? '');
    expect(paths).toEqual(paths.toSorted());
  });

  it('gives the kernel the same from a single archive, packed as small as can be, where the config says solid', async () => {
    const store = await tempStore();
    const numbers = Array.from({ length: 20_000 }, (_, i) => (i * i) % 7919).join(' ');
    const sample = await sampleConfig(store);
    const text = `${sample}  - {path: etc/numbers, contents: "${numbers}"}\n`;
    const one = `${text}layout: solid\n`;
    const [many, solid, again, level] = [
      (await compose(store, text, { level: 19 })).read('system-initrd.img'),
      (await compose(store, one)).read('system-initrd.img'),
      (await compose(store, one)).read('system-initrd.img'),
      (await compose(store, one, { level: 1 })).read('system-initrd.img'),
    ];
    // All files, the manifest, and what an initrd says of itself.
    expect(splitArchives(solid)).toHaveLength(3);
    expect(splitArchives(many).length).toBeGreaterThan(6);
    expect(again.equals(solid)).toBe(true);
    expect(solid.length).toBeLessThan(many.length);
    expect(solid.length).toBeLessThan(level.length);
    expect(whatIsUnpacked(solid)).toEqual(whatIsUnpacked(many));
  });

  it('has golden digests', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const digests: Record<string, string> = {};
    for (const compressor of ['none', 'gzip', 'zstd'] as const) {
      const { files } = await compose(store, text, { compressor });
      digests[compressor] = files[1]?.digest ?? '';
    }
    const { files } = await compose(store, text, { format: ['tar'] });
    digests['tar'] = files[0]?.digest ?? '';
    expect(digests).toMatchInlineSnapshot(`
      {
        "gzip": "sha256:0862823167c45099c4e4d9ab82f0f4a142b5790740ab73f8ff725ef37453619b",
        "none": "sha256:540b8404da010e8ac54426de485d4194172d5442ce52a539d2cebe2f342e852d",
        "tar": "sha256:451b1a1284f56df496eb111ac749f8b3360514fb533dad33245861b74679050a",
        "zstd": "sha256:a8cc61ffc7ec5ef5181b3792b95a07cbc03d80dfb4d0ce1d8f2893d37ea7071d",
      }
    `);
  });

  it('gives the same bytes whatever compressor', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const plain = await compose(store, text, { compressor: 'none' });
    const packed = await compose(store, text, { compressor: 'zstd' });
    const unpacked = splitArchives(packed.read('system-initrd.img'));
    const all = Buffer.concat(unpacked.slice(0, -1));
    expect(plain.read('system-initrd.img').subarray(0, all.length).equals(all)).toBe(true);
    const zipped = await compose(store, text, { compressor: 'gzip' });
    const first = zipped.read('system-initrd.img');
    expect(
      gunzipSync(first.subarray(0, first.indexOf(Buffer.from([0x1f, 0x8b, 8, 0]), 4))),
    ).toEqual(unpacked[0]);
  });

  it.for([
    ['of the image', { 'config-6.12': KERNEL_CONFIG }, {}],
    ['among the modules', {}, { 'lib/modules/6.12/config': KERNEL_CONFIG }],
  ] as const)(
    'refuses what the kernel cannot unpack by its config %s',
    async ([, files, modules]) => {
      const store = await tempStore();
      const kernel = await image(store, [
        { kernel: 'k', 'kernel.tar': await tarBytes(modules), ...files },
      ]);
      const text = `kernel: {image: lkt/k:1@${kernel}}\n`;
      for (const compressor of ['zstd', 'xz', 'lz4'] as const) {
        await expect(compose(store, text, { compressor })).rejects.toMatchObject({
          code: 'UNSUPPORTED',
          message: expect.stringContaining(
            `does not have CONFIG_RD_${compressor.toUpperCase()}=y`,
          ) as string,
          fix: 'use --compressor gzip or none',
        });
      }
      await compose(store, text, { compressor: 'gzip' });
      await compose(store, text, { compressor: 'none' });
      await compose(store, text, { format: ['tar'] });
    },
  );

  it('puts microcode in front, as it is', async () => {
    const store = await tempStore();
    const text = (await sampleConfig(store)).replace('cmdline:', 'ucode: ucode.cpio\n  cmdline:');
    const { read } = await compose(store, text);
    expect(read('system-initrd.img').subarray(0, 512)).toEqual(Buffer.alloc(512, 'u'));
  });

  it('takes unchanged segments from the cache, and makes damaged ones again', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const first = await compose(store, text);
    const warm = new Recorder();
    const again = await compose(store, text, { reporter: warm });
    expect(again.files.map(({ digest }) => digest)).toEqual(
      first.files.map(({ digest }) => digest),
    );
    expect(cachedOf(warm)).not.toContain(false);
    expect(cachedOf(warm)).toHaveLength(5);

    const segments = join(store.dir, 'segments');
    for (const name of readdirSync(segments).filter((file) => !file.endsWith('.sum'))) {
      chmodSync(join(segments, name), 0o644);
      appendFileSync(join(segments, name), 'x');
    }
    const repaired = new Recorder();
    const third = await compose(store, text, { reporter: repaired });
    expect(third.files.map(({ digest }) => digest)).toEqual(
      first.files.map(({ digest }) => digest),
    );
    expect(repaired.events.filter(({ kind }) => kind === 'warning').length).toBeGreaterThan(5);
    expect(cachedOf(repaired)).not.toContain(true);
  });

  it('notices damage that leaves the size, at the latest while it writes', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const outDir = tempDir();
    const first = await compose(store, text, { outDir });
    const segments = join(store.dir, 'segments');
    for (const name of readdirSync(segments).filter((file) => !file.endsWith('.sum'))) {
      const path = join(segments, name);
      chmodSync(path, 0o644);
      const data = readFileSync(path);
      data[data.length >> 1] = (data[data.length >> 1] ?? 0) ^ 1;
      writeFileSync(path, data);
    }
    for (const output of readdirSync(outDir)) rmSync(join(outDir, output));
    const repaired = new Recorder();
    const second = await compose(store, text, { outDir, reporter: repaired });
    expect(second.files).toEqual(first.files);
    expect(repaired.events.filter(({ kind }) => kind === 'warning').length).toBeGreaterThan(5);
  });

  it('leaves files that are as they should be, and writes those that are not', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const outDir = tempDir();
    const { files } = await compose(store, text, { outDir });
    const [kernel = '', initrd = ''] = files.map(({ path }) => path);
    const before = statSync(kernel, { bigint: true });
    utimesSync(kernel, 1, 1);
    const data = readFileSync(initrd);
    data[100] = (data[100] ?? 0) ^ 1;
    writeFileSync(initrd, data);
    expect((await compose(store, text, { outDir })).files).toEqual(files);
    const after = statSync(kernel, { bigint: true });
    expect(after.ino).toBe(before.ino);
    expect(after.mtimeMs).toBeGreaterThan(1000n);
    expect(digestOf(readFileSync(initrd))).toBe(files[1]?.digest);
    rmSync(kernel);
    symlinkSync('/dev/null', kernel);
    await compose(store, text, { outDir });
    expect(digestOf(readFileSync(kernel))).toBe(files[0]?.digest);
  });

  it('leaves an initrd, however long its compressed manifest is', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const options = { outDir: tempDir() };
    for (const path of ['a', 'bcd', 'efghij', 'klmnopqrs', 'tuvwxyz0123']) {
      const config = `${text}  - {path: ${path}, contents: x}\n`;
      const [, initrd] = (await compose(store, config, options)).files;
      const before = statSync(initrd?.path ?? '', { bigint: true });
      expect(initrd?.size).toBe(Number(before.size));
      await compose(store, config, options);
      expect(statSync(initrd?.path ?? '', { bigint: true }).ino).toBe(before.ino);
    }
  });

  it('warns of file capabilities, which an initrd cannot hold and a tar can', async () => {
    const store = await tempStore();
    const kernel = await image(store, [{ kernel: 'k', 'kernel.tar': await tarBytes({}) }]);
    const xattrs = new Map([['security.capability', Buffer.from([1, 0, 0, 2])]]);
    const ping = await image(store, [{ ping: { type: 'fifo', xattrs } }]);
    const recorder = new Recorder();
    const { read } = await compose(
      store,
      `kernel: {image: lkt/k:1@${kernel}}\ninit: [lkt/ping:1@${ping}]\n`,
      { reporter: recorder, format: ['kernel+initrd', 'tar'] },
    );
    expect(recorder.events).toContainEqual({
      kind: 'warning',
      text: '/ping of lkt/ping:1 (init[0]) loses its file capabilities: an initramfs cannot hold them',
    });
    expect(read('system.tar').includes('SCHILY.xattr.security.capability=')).toBe(true);
  });

  it('remakes only the segment of what changed', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    await compose(store, text);
    const recorder = new Recorder();
    await compose(store, `${text}  - path: etc/new\n    contents: new\n`, { reporter: recorder });
    expect(cachedOf(recorder).filter((cached) => !cached)).toHaveLength(1);
  });

  it('reads the modules where they are, without a copy of the archive in the store', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const before = readdirSync(join(store.dir, 'blobs/sha256'));
    await compose(store, text);
    expect(readdirSync(join(store.dir, 'blobs/sha256'))).toEqual(before);
    expect(readdirSync(join(store.dir, 'tmp'))).toEqual([]);
  });

  it('writes all files or none', async () => {
    const store = await tempStore();
    const outDir = tempDir();
    mkdirSync(join(outDir, 'system-cmdline'));
    writeFileSync(join(outDir, 'system-cmdline/in-the-way'), '');
    const text = await sampleConfig(store);
    await expect(compose(store, text, { outDir })).rejects.toMatchObject({ code: 'IO_FAILED' });
    expect(readdirSync(outDir).filter((name) => name.startsWith('.'))).toEqual([]);

    const blob = await image(store, [{ kernel: 'k', 'kernel.tar': await tarBytes({ a: 'data' }) }]);
    const broken = `kernel: {image: lkt/k:1@${blob}}\n`;
    await compose(store, broken, { name: 'other' });
    const good = readdirSync(outDir);
    const [layer] = execFileSync('ls', ['-S', join(store.dir, 'blobs/sha256')])
      .toString()
      .split('\n');
    truncateSync(store.blobPath(`sha256:${layer}` as never), 3);
    await expect(compose(store, text, { outDir, compressor: 'none' })).rejects.toThrow(LktError);
    expect(readdirSync(outDir)).toEqual(good);
  });

  it('refuses a config without a kernel where one is needed', async () => {
    const store = await tempStore();
    await expect(compose(store, 'init: []')).rejects.toThrow(
      'system.yml: there is no kernel.image',
    );
    const { read } = await compose(store, 'files: [{path: a, contents: b}]', { format: ['tar'] });
    expect(read('system.tar').length).toBeGreaterThan(0);
  });

  it('writes a tar with the origin of every entry', async () => {
    const store = await tempStore();
    const { read } = await compose(store, await sampleConfig(store), { format: ['tar'] });
    const origins: Record<string, string> = {};
    async function* bytes(): AsyncGenerator<Uint8Array> {
      yield read('system.tar');
    }
    for await (const { path, pax } of readTar(bytes()))
      origins[path] = pax?.get('LINUXKIT.location') ?? '';
    expect(origins).toMatchObject({
      'boot/kernel': 'kernel',
      'usr/lib/modules/1/virtio.ko': 'kernel',
      init: 'init[0]',
      'usr/bin/runc': 'init[1]',
      'containers/onboot/000-first/rootfs/bin/serve': 'onboot[0]',
      'containers/services/serve/config.json': 'services[0]',
      'etc/issue': 'files[0]',
    });
    expect(Object.values(origins)).not.toContain('');
    expect(execFileSync('tar', ['-t'], { input: read('system.tar') }).toString()).toContain(
      'containers/services/serve/runtime.json\n',
    );
  });
});

describe('hostile images', () => {
  const cases: readonly (readonly [
    string,
    readonly Readonly<Record<string, Content>>[],
    string,
  ])[] = [
    ['paths out of the root', [{ '../evil': 'x' }], 'the bad path "../evil"'],
    ['writes through a link of its own layer', [{ a: link('/etc'), 'a/x': 'evil' }], '"a"'],
    ['a file for a directory that lkt fills', [{ etc: 'not a directory' }], '/etc is a file in'],
    ['a link for a directory that lkt fills', [{ dev: link('/proc') }], '/dev is a symlink in'],
    ['a directory where the manifest goes', [{ 'usr/share/lkt/manifest/': '' }], 'manifest'],
    ['a link on the way to the manifest', [{ 'usr/share': link('/etc') }], 'manifest'],
  ];
  it.each(cases)('%s', async (_name, layers, message) => {
    const store = await tempStore();
    const kernel = await image(store, [{ kernel: 'k', 'kernel.tar': await tarBytes({}) }]);
    const bad = await image(store, layers);
    const text = `kernel: {image: lkt/k:1@${kernel}}\ninit: [lkt/bad:1@${bad}]\n`;
    const failure = compose(store, text);
    await expect(failure).rejects.toThrow(LktError);
    await expect(failure).rejects.toThrow(message);
  });

  it('writes through a link of a lower layer replace the link', async () => {
    const store = await tempStore();
    const kernel = await image(store, [{ kernel: 'k', 'kernel.tar': await tarBytes({}) }]);
    const bad = await image(store, [{ a: link('/etc') }, { 'a/x': 'evil' }]);
    const { read } = await compose(
      store,
      `kernel: {image: lkt/k:1@${kernel}}\ninit: [lkt/bad:1@${bad}]\n`,
    );
    const { listing } = unpack(read('system-initrd.img'));
    expect(listing).toContain('a/x');
    expect(listing).not.toContain('etc/x');
  });

  it('device nodes stay what they are, in the guest', async () => {
    const store = await tempStore();
    const kernel = await image(store, [{ kernel: 'k', 'kernel.tar': await tarBytes({}) }]);
    const bad = await image(store, [
      { sda: { type: 'block', mode: 0o666, devMajor: 8, devMinor: 0 } },
    ]);
    const { read } = await compose(
      store,
      `kernel: {image: lkt/k:1@${kernel}}\ninit: [lkt/bad:1@${bad}]\n`,
      { compressor: 'none' },
    );
    const listing = execFileSync('cpio', ['-itv', '--quiet'], {
      input: read('system-initrd.img'),
    }).toString();
    expect(listing).toMatch(/^brw-rw-rw- .* 8, +0 .* sda$/m);
  });
});

function cachedOf({ events }: Recorder): boolean[] {
  return events.flatMap((event) => (event.kind === 'done' ? [event.cached] : []));
}
