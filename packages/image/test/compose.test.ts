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
import { join, relative } from 'node:path';
import { crc32 } from 'node:zlib';
import { digestOf, LktError } from '@lkt/core';
import { openStore, readTar, type Store } from '@lkt/oci';
import { SealedFiles } from '@lkt/oci/files';
import { describe, expect, it } from 'vitest';
import { imageCacheAreas } from '../src/cache.ts';
import { readInitrdInfo } from '../src/initrd/info.ts';
import {
  type Content,
  image,
  link,
  Recorder,
  sampleConfig,
  tarBytes,
  tempDir,
  tempStore,
} from './support.ts';
import { compose } from './compose-fixture.ts';

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

  it.each(['oci', 'docker'] as const)(
    'writes no %s archive with a file that would delete another',
    async (format) => {
      const store = await tempStore();
      const file = 'files:\n  - path: etc/.wh.hosts\n    contents: x\n';
      const composing = compose(store, (await sampleConfig(store)).replace('files:\n', file), {
        format: [format],
      });
      await expect(composing).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: 'no layer can contain /etc/.wh.hosts: the name means a deleted file',
      });
    },
  );

  it.each(['x', 'null', '[]x'])(
    'rejects a file with the content %j for the config of a container',
    async (contents) => {
      const store = await tempStore();
      const path = 'containers/services/other/config.json';
      const file = `files:\n  - path: ${path}\n    contents: '${contents}'\n`;
      const composing = compose(store, (await sampleConfig(store)).replace('files:\n', file));
      await expect(composing).rejects.toMatchObject({
        code: 'TREE_CONFLICT',
        message: `/${path} is not the config of a container`,
      });
    },
  );

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
        "gzip": "sha256:fbeb819e46a1b1ab6908c26857ebd7397b25fd7df1cb389f819a636a095d11bc",
        "none": "sha256:489da715c0faef16bdd624b9a8deb4eb0286efbecb4670c4cacf6c46f05cfbad",
        "tar": "sha256:a58a0fb851c640ce05e792c319337e0d878d3e22cf5be5be6dc153dbb9631d37",
        "zstd": "sha256:245d88df376a23c8361124318f91f7eb23aa4f166ae1a6adff8bd3f43d856f15",
      }
    `);
  });

  it('has equal bytes, regardless of earlier uses of an image', async () => {
    const store = await tempStore();
    const large = Buffer.alloc(200_000, 'all the words, ');
    const both = await image(store, [
      { kernel: large, 'kernel.tar': await tarBytes({}), init: 'i' },
    ]);
    const text = `kernel: {image: lkt/k:1@${both}}\ninit: [lkt/k:1@${both}]\n`;
    await compose(store, text.replace(/init.*/, ''));
    const { files } = await compose(store, text);
    const fresh = await tempStore();
    await image(fresh, [{ kernel: large, 'kernel.tar': await tarBytes({}), init: 'i' }]);
    expect((await compose(fresh, text)).files.map(({ digest }) => digest)).toEqual(
      files.map(({ digest }) => digest),
    );
  });

  it('puts microcode first, unchanged', async () => {
    const store = await tempStore();
    const text = (await sampleConfig(store)).replace('cmdline:', 'ucode: ucode.cpio\n  cmdline:');
    const { read } = await compose(store, text);
    expect(read('system-initrd.img').subarray(0, 512)).toEqual(Buffer.alloc(512, 'u'));
  });

  it('reuses unchanged segments from the cache, and rebuilds damaged ones', async () => {
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

    for (const path of cacheFiles(store)) {
      chmodSync(path, 0o644);
      appendFileSync(path, 'x');
    }
    const repaired = new Recorder();
    const third = await compose(store, text, { reporter: repaired });
    expect(third.files.map(({ digest }) => digest)).toEqual(
      first.files.map(({ digest }) => digest),
    );
    expect(repaired.events.filter(({ kind }) => kind === 'warning').length).toBeGreaterThan(5);
    expect(cachedOf(repaired)).not.toContain(true);
  });

  it('notices damage that keeps the size, at the latest while writing', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const outDir = tempDir();
    const first = await compose(store, text, { outDir });
    for (const path of cacheFiles(store)) {
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

  const other = new SealedFiles('/', () => 'the key of another user');
  it.each<[string, (store: Store, path: string, record: string) => string]>([
    ['without a seal', (_store, _path, record) => record],
    [
      'with the seal of another key',
      ({ dir }, path, record) => other.seal(join('/', relative(dir, path)), record),
    ],
    [
      'with the seal of another file',
      ({ sealed }, path, record) => sealed.seal(`${path}.sum`, record),
    ],
  ])('remakes what was swapped together with its record, %s', async (_, recordOf) => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const options = { sbom: { path: 'sbom.json' } };
    const first = await compose(store, text, options);
    for (const path of cacheFiles(store)) {
      const data = readFileSync(path);
      // A digit, so that texts remain JSON.
      const at = data.findLastIndex((byte) => byte >= 0x30 && byte <= 0x37);
      data[at] = (data[at] ?? 0) ^ 1;
      chmodSync(path, 0o644);
      writeFileSync(path, data);
      const sum = `${path}.sum`;
      const record = `${digestOf(data)} ${data.length}`;
      writeFileSync(sum, recordOf(store, sum, `${record} ${crc32(data)}`));
    }
    const areas = imageCacheAreas;
    const { cached } = await store.verify({ areas });
    expect(cached.bad).toHaveLength(cacheFiles(store).length);
    const repaired = new Recorder();
    const second = await compose(store, text, { ...options, reporter: repaired });
    expect(second.files.map(({ digest }) => digest)).toEqual(
      first.files.map(({ digest }) => digest),
    );
    expect(cachedOf(repaired)).not.toContain(true);
    expect((await store.verify({ areas })).cached.bad).toEqual([]);
  });

  it('derives again what it must not reuse, and reports what was different', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const first = await compose(store, text);
    const swapped = cacheFiles(store).filter((path) => statSync(path).size > 200);
    for (const path of swapped) {
      const data = Buffer.alloc(statSync(path).size, '1');
      chmodSync(path, 0o644);
      writeFileSync(path, data);
      const sum = `${path}.sum`;
      writeFileSync(sum, store.sealed.seal(sum, `${digestOf(data)} ${data.length}`));
    }
    expect((await store.verify({ areas: imageCacheAreas })).cached.bad).toEqual([]);
    const strict = await openStore(store.dir, { ignored: ['contents', 'segments'] });
    const recorder = new Recorder();
    const second = await compose(strict, text, { reporter: recorder });
    expect(second.files.map(({ digest }) => digest)).toEqual(
      first.files.map(({ digest }) => digest),
    );
    expect(cachedOf(recorder)).not.toContain(true);
    const warnings = recorder.events.filter(({ kind }) => kind === 'warning');
    expect(warnings).toHaveLength(swapped.length);
    expect(warnings[0]).toMatchObject({
      text: expect.stringMatching(/ is not what its inputs give and is made again$/),
    });
    const third = await compose(store, text);
    expect(third.files.map(({ digest }) => digest)).toEqual(
      first.files.map(({ digest }) => digest),
    );
  });

  it('leaves out of a check what another process removes', async () => {
    const store = await tempStore();
    await compose(store, await sampleConfig(store));
    const [content = ''] = cacheFiles(store);
    const checks = imageCacheAreas.map(async ({ isIntact }) => isIntact?.(`${content}.sum`, store));
    // Before the first read.
    rmSync(content);
    expect(await Promise.all(checks)).toEqual([undefined, undefined]);
  });

  it('finds changes that keep size and CRC-32', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const first = await compose(store, text);
    const changed = cacheFiles(store).filter((path) => statSync(path).size > 200);
    for (const path of changed) {
      const data = readFileSync(path);
      const before = crc32(data);
      addPolynomial(data, data.length >> 1);
      expect(crc32(data)).toBe(before);
      chmodSync(path, 0o644);
      writeFileSync(path, data);
    }
    expect(changed.length).toBeGreaterThan(5);
    expect((await store.verify({ areas: imageCacheAreas })).cached.bad).toHaveLength(
      changed.length,
    );
    const second = await compose(store, text);
    expect(second.files.map(({ digest }) => digest)).toEqual(
      first.files.map(({ digest }) => digest),
    );
  });

  it('keeps files with the expected bytes, and writes the others', async () => {
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

  it('keeps an initrd with a manifest of any compressed length', async () => {
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

  it('remakes only the segment of the changed part', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    await compose(store, text);
    const recorder = new Recorder();
    await compose(store, `${text}  - path: etc/new\n    contents: new\n`, { reporter: recorder });
    expect(cachedOf(recorder).filter((cached) => !cached)).toHaveLength(1);
  });

  it('reads kernel modules without a copy of their archive in the store', async () => {
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

  it('rejects a config without a kernel where one is needed', async () => {
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

describe('images with hostile layers', () => {
  const cases: readonly (readonly [
    string,
    readonly Readonly<Record<string, Content>>[],
    string,
  ])[] = [
    ['paths out of the root', [{ '../evil': 'x' }], 'the invalid path "../evil"'],
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
});

/** Changes bytes by the generator polynomial, which leaves the CRC-32 of the whole unchanged. */
function addPolynomial(data: Buffer, at: number): void {
  const polynomial = 0x104c11db7n;
  for (let bit = 0; bit <= 32; bit += 1) {
    const byte = at + (bit >> 3);
    const isSet = (polynomial >> BigInt(32 - bit)) & 1n;
    if (isSet === 1n) data[byte] = (data[byte] ?? 0) ^ (1 << (bit & 7));
  }
}

/** Lists the files of the cache without their checksums. */
function cacheFiles(store: Store): readonly string[] {
  return ['contents', 'segments'].flatMap((area) =>
    readdirSync(join(store.dir, area))
      .filter((file) => !file.endsWith('.sum'))
      .map((file) => join(store.dir, area, file)),
  );
}

function cachedOf({ events }: Recorder): boolean[] {
  return events.flatMap((event) => (event.kind === 'done' ? [event.cached] : []));
}
