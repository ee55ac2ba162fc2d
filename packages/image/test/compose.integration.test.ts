import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { digestHex, digestOf } from '@lkt/core';
import { describe, expect, it } from 'vitest';
import {
  type Compressor,
  COMPRESSORS,
  readFileFacts,
  type FileMap,
  readInitrd,
} from '@lkt/formats';
import { chunks, image, link, sampleConfig, tarBytes, tempDir, tempStore } from './support.ts';
import { compose } from './compose-fixture.ts';

/** Returns what the kernel unpacks: the archives in turn, as one listing. */
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

/**
 * Splits an initrd as the kernel does: zero bytes are skipped, and an archive starts at a multiple
 * of four.
 */
function splitArchives(initrd: Buffer): Buffer[] {
  // The last archive is uncompressed and has one file; its trailer is a separate header.
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

/** Lists every path with its attributes, without the info file of the initrd. */
function unpackedEntries(initrd: Buffer): readonly string[] {
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
  it('has every path once, after its directory', async () => {
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

  it('unpacks to the same files from a single maximally compressed archive for layout solid', async () => {
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
    // All files, the manifest, and the info file.
    expect(splitArchives(solid)).toHaveLength(3);
    expect(splitArchives(many).length).toBeGreaterThan(6);
    expect(again.equals(solid)).toBe(true);
    expect(solid.length).toBeLessThan(many.length);
    expect(solid.length).toBeLessThan(level.length);
    expect(unpackedEntries(solid)).toEqual(unpackedEntries(many));
  });

  it('unpacks to the same files with every compressor', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const facts = async (compressor: Compressor): Promise<FileMap> => {
      const { read } = await compose(store, text, { compressor });
      const files = new Map(await readFileFacts(readInitrd(chunks(read('system-initrd.img')))));
      files.delete('usr/share/lkt/initrd');
      return files;
    };
    const plain = await facts('none');
    for (const compressor of COMPRESSORS) expect(await facts(compressor)).toEqual(plain);

    const { read } = await compose(store, text);
    const { dir } = unpack(read('system-initrd.img'));
    for (const [path, { hash }] of plain)
      if (hash !== undefined)
        expect(digestHex(digestOf(readFileSync(join(dir, path)))), path).toBe(hash);
  });

  it('packs a long content once for all its names and locations', async () => {
    const store = await tempStore();
    const text = await sampleConfig(store);
    const { read } = await compose(store, text);
    const { dir } = unpack(read('system-initrd.img'));
    const program = join(dir, 'containers/onboot/000-first/rootfs/bin');
    const [first, second] = ['large', 'serve2'].map((name) => statSync(join(program, name)));
    expect(first).toMatchObject({ size: 300_000, nlink: 2 });
    expect(second?.ino).toBe(first?.ino);

    // Only packed contents are left.
    for (const name of readdirSync(join(store.dir, 'blobs/sha256'))) {
      const path = join(store.dir, 'blobs/sha256', name);
      if (readFileSync(path).readUInt16LE() === 0x8b1f) rmSync(path);
    }
    const moved = await compose(store, text.replace('name: first', 'name: elsewhere'));
    const { dir: other } = unpack(moved.read('system-initrd.img'));
    const place = join(other, 'containers/onboot/000-elsewhere/rootfs/bin');
    for (const name of readdirSync(program))
      expect(readFileSync(join(place, name)).equals(readFileSync(join(program, name)))).toBe(true);
  });

  it.for([
    ['of the image', { 'config-6.12': KERNEL_CONFIG }, {}],
    ['among the modules', {}, { 'lib/modules/6.12/config': KERNEL_CONFIG }],
  ] as const)(
    'rejects a compressor that the kernel lacks by its config %s',
    async ([, files, modules]) => {
      const store = await tempStore();
      const kernel = await image(store, [
        { kernel: 'k', 'kernel.tar': await tarBytes(modules), ...files },
      ]);
      const text = `kernel: {image: lkt/k:1@${kernel}}\n`;
      const outDir = join(tempDir(), 'out');
      for (const compressor of ['zstd', 'xz', 'lz4'] as const) {
        await expect(compose(store, text, { compressor, outDir })).rejects.toMatchObject({
          code: 'UNSUPPORTED',
          message: expect.stringContaining(
            `lacks CONFIG_RD_${compressor.toUpperCase()}=y`,
          ) as string,
          fix: 'use --compressor gzip or none',
        });
        expect(existsSync(outDir)).toBe(false);
      }
      await compose(store, text, { compressor: 'gzip' });
      await compose(store, text, { compressor: 'none' });
      await compose(store, text, { format: ['tar'] });
    },
  );
});

describe('images with hostile layers', () => {
  it('replaces a link when a later layer writes through it', async () => {
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

  it('keeps device nodes in the guest', async () => {
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
