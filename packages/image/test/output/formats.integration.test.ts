import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listDirectory, listing as mtree } from '@lkt/testing/file-listing';
import { composeImage } from '../../src/compose.ts';
import { type Format, FORMATS, parseFormat } from '../../src/output/formats.ts';
import { image, PLATFORM, sampleConfig, tempDir, tempStore } from '../support.ts';

async function compose(format: readonly Format[], name = 'system'): Promise<string> {
  const store = await tempStore();
  const outDir = tempDir();
  const text = await sampleConfig(store);
  await composeImage({
    configs: [{ path: 'system.yml', text }],
    store,
    format,
    outDir,
    name,
    platform: PLATFORM,
    homeDir: outDir,
  });
  expect(readdirSync(join(store.dir, 'tmp'))).toEqual([]);
  return outDir;
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function binary(command: string, ...args: readonly string[]): Buffer {
  return execFileSync(command, args);
}

/**
 * Returns bsdtar's listing (type, mode, owner, size, time, path and link of each entry) and all
 * contents.
 */
function treeOf(archive: string): { readonly listing: readonly string[]; readonly text: string } {
  const listing = run('bsdtar', '--numeric-owner', '-tvf', archive).trim().split('\n').toSorted();
  return { listing, text: run('bsdtar', '-xOf', archive) };
}

/** Lists a tar's entries as they are on a disk. */
function rootOf(tar: string): readonly string[] {
  return mtree(tar).filter((line) => !/^\.\/boot[ /]/.test(line));
}

/** Lists the files and links in a directory. */
function filesIn(dir: string): readonly string[] {
  return listDirectory(dir)
    .filter((line) => /type=(?:file|link)/.test(line))
    .map((line) => line.replaceAll(/ [gu]id=\d+/g, ''));
}

describe('formats', () => {
  it('writes kernel, initrd and command line to one archive', async () => {
    const dir = await compose(['kernel+initrd', 'tar-kernel-initrd']);
    const archive = join(dir, 'system-initrd.tar');
    expect(run('bsdtar', '-tf', archive).trim().split('\n')).toEqual([
      'kernel',
      'initrd.img',
      'cmdline',
    ]);
    for (const [member, file] of [
      ['kernel', 'system-kernel'],
      ['initrd.img', 'system-initrd.img'],
      ['cmdline', 'system-cmdline'],
    ] as const)
      expect(execFileSync('bsdtar', ['-xOf', archive, member])).toEqual(
        readFileSync(join(dir, file)),
      );
  });

  it.for([
    ['docker', 'docker-archive', '.docker'],
    ['docker', 'oci-archive', '.docker'],
    ['oci', 'oci-archive', '-oci.tar'],
  ] as const)('skopeo and umoci find the tree of tar in %s as %s', async ([format, kind, end]) => {
    const dir = await compose(['tar', format], 'My_System');
    const source = `${kind}:${join(dir, `My_System${end}`)}`;
    expect(JSON.parse(run('skopeo', 'inspect', '--config', source))).toMatchObject({
      architecture: 'amd64',
      config: { Entrypoint: ['/init'] },
      created: '2017-04-18T16:30:00Z',
    });
    const layout = join(dir, 'layout');
    run('skopeo', '--insecure-policy', 'copy', '-q', source, `oci:${layout}:x`);
    expect(JSON.parse(run('umoci', 'stat', '--json', '--image', `${layout}:x`))).toBeTruthy();
    const manifest = JSON.parse(run('skopeo', 'inspect', '--raw', `oci:${layout}:x`)) as {
      layers: { digest: string }[];
    };
    expect(manifest.layers).toHaveLength(1);
    const layer = join(layout, 'blobs/sha256', manifest.layers[0]?.digest.slice(7) ?? '');
    expect(treeOf(layer)).toEqual(treeOf(join(dir, 'My_System.tar')));
  });

  it('writes the root as a disk, and a command line that mounts it', async () => {
    const dir = await compose(['kernel+squashfs', 'kernel+erofs', 'kernel+iso', 'tar']);
    expect(readdirSync(dir).toSorted()).toEqual([
      'system-cmdline',
      'system-erofs-cmdline',
      'system-erofs.img',
      'system-iso-cmdline',
      'system-kernel',
      'system-squashfs-cmdline',
      'system-squashfs.img',
      'system.iso',
      'system.tar',
    ]);
    for (const [kind, fstype] of [
      ['iso', 'iso9660'],
      ['squashfs', 'squashfs'],
    ])
      expect(readFileSync(join(dir, `system-${kind}-cmdline`), 'utf8')).toBe(
        `console=ttyS0 root=/dev/vda rootfstype=${fstype} ro init=/init`,
      );
    const root = rootOf(join(dir, 'system.tar'));
    expect(mtree(join(dir, 'system.iso'))).toEqual(root);
    const tar = join(dir, 'squashfs.tar');
    writeFileSync(tar, binary('sqfs2tar', join(dir, 'system-squashfs.img')));
    expect(mtree(tar)).toEqual(root);
  });

  it('writes the root as an erofs, and a command line that mounts it through dm-verity', async () => {
    const dir = await compose(['kernel+erofs', 'tar']);
    const disk = join(dir, 'system-erofs.img');
    const cmdline = readFileSync(join(dir, 'system-erofs-cmdline'), 'utf8');
    const [, blocks = '', hash = ''] =
      /^console=ttyS0 dm-mod\.create="root,,,ro,0 \d+ verity 1 \/dev\/vda \/dev\/vda 4096 4096 (\d+) \d+ sha256 ([0-9a-f]{64}) - 1 panic_on_corruption" root=\/dev\/dm-0 rootfstype=erofs ro init=\/init$/.exec(
        cmdline,
      ) ?? [];
    const offset = `--hash-offset=${Number(blocks) * 4096}`;
    run('veritysetup', 'verify', disk, disk, hash, offset);
    const out = join(dir, 'out');
    run('fsck.erofs', '-d1', `--extract=${out}`, '--no-preserve-owner', disk);
    const other = join(dir, 'other');
    mkdirSync(other);
    run('bsdtar', '-xf', join(dir, 'system.tar'), '--exclude', './boot', '-C', other);
    expect(filesIn(out)).toEqual(filesIn(other));
  });

  it('keeps an unchanged disk, and identifies a file system by its contents', async () => {
    const store = await tempStore();
    const outDir = tempDir();
    const text = await sampleConfig(store);
    const options = {
      configs: [{ path: 'system.yml', text }],
      store,
      outDir,
      name: 'x',
      homeDir: outDir,
      platform: PLATFORM,
    };
    const again = async (): Promise<readonly (number | string)[]> => {
      await composeImage({ ...options, format: ['kernel+squashfs', 'kernel+erofs', 'kernel+iso'] });
      const cmdline = readFileSync(join(outDir, 'x-erofs-cmdline'), 'utf8');
      const files = ['x-squashfs.img', 'x-erofs.img', 'x.iso'];
      return [cmdline, ...files.map((file) => statSync(join(outDir, file)).ino)];
    };
    expect(await again()).toEqual(await again());
    await expect(
      composeImage({ ...options, format: ['kernel+squashfs'], compressor: 'xz' }),
    ).rejects.toThrow('lkt cannot compress a squashfs with xz');
    await expect(
      composeImage({ ...options, format: ['kernel+erofs'], compressor: 'xz' }),
    ).rejects.toThrow('lkt cannot compress an erofs with xz');
  });

  it('names the container image after the files', async () => {
    const dir = await compose(['docker'], 'My_System');
    const text = run('bsdtar', '-xOf', join(dir, 'My_System.docker'), 'manifest.json');
    expect(JSON.parse(text)).toMatchObject([{ RepoTags: ['my-system:latest'] }]);
  });

  it('writes a system without kernel and init as a container image', async () => {
    const store = await tempStore();
    const outDir = tempDir();
    const some = await image(store, [{ file: 'text' }]);
    await composeImage({
      configs: [{ path: 'system.yml', text: `init: [lkt/some:1@${some}]\n` }],
      store,
      format: ['oci'],
      outDir,
      name: 'system',
      platform: PLATFORM,
    });
    const config = run('skopeo', 'inspect', '--config', `oci-archive:${outDir}/system-oci.tar`);
    expect(config).not.toContain('Entrypoint');
  });

  it("knows LinuxKit's formats, and names alternatives to those that it does not write", () => {
    for (const format of FORMATS) expect(parseFormat(format)).toBe(format);
    expect(() => parseFormat('rpi3')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => parseFormat('rpi3')).toThrow('lkt does not write the format rpi3');
    expect(() => parseFormat('rpi3')).toThrow(
      expect.objectContaining({ fix: expect.stringContaining('linuxkit build --format rpi3') }),
    );
    expect(() => parseFormat('zip')).toThrow(expect.objectContaining({ code: 'USAGE_INVALID' }));
  });
});
