import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { composeImage } from '../../src/compose.ts';
import type { ComposedImage } from '../../src/built-image.ts';
import type { ComposeOptions } from '../../src/compose-options.ts';
import { DISK_FILES, type Format } from '../../src/output/formats.ts';
import { bootLoaderImage, EFI_STUB } from '../boot-loader.ts';
import { PLATFORM, sampleConfig, tempDir, tempStore } from '../support.ts';

type Options = Partial<Pick<ComposeOptions, 'format' | 'diskSize'>> & {
  readonly change?: (config: string) => string;
};

async function compose({
  change = (text) => text,
  ...options
}: Options): Promise<ComposedImage & { readonly dir: string }> {
  const store = await tempStore();
  const dir = tempDir();
  const text = change(await sampleConfig(store, readFileSync(EFI_STUB)));
  const composed = await composeImage({
    configs: [{ path: 'system.yml', text }],
    store,
    format: ['kernel+initrd'],
    outDir: dir,
    name: 'x',
    platform: PLATFORM,
    homeDir: dir,
    bootLoader: await bootLoaderImage(store),
    ...options,
  });
  return { ...composed, dir };
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function onFat(image: string, path: string): Buffer {
  return execFileSync('mtype', ['-i', image, `::${path}`], { maxBuffer: 2 ** 27 });
}

/** Copies the first partition of a disk to a file. */
function partitionOf(disk: string): string {
  const path = join(tempDir(), 'partition');
  writeFileSync(path, readFileSync(disk).subarray(2 ** 20));
  return path;
}

/** Composes in these formats. Returns the path of a file by its suffix. */
async function filesOf(...format: readonly Format[]): Promise<(end: string) => string> {
  const { dir } = await compose({ format });
  return (end) => join(dir, `x${end}`);
}

describe('disks', () => {
  it('for EFI have a partition table that sfdisk and sgdisk accept', async () => {
    const file = await filesOf('raw-efi', 'uki');
    expect(run('sfdisk', '--verify', file('-efi.img'))).toContain('No errors detected.');
    expect(run('sgdisk', '--verify', file('-efi.img'))).toContain('No problems found.');
    const table = JSON.parse(run('sfdisk', '--json', file('-efi.img'))) as {
      partitiontable: { label: string; partitions: { start: number; type: string }[] };
    };
    expect(table.partitiontable).toMatchObject({
      label: 'gpt',
      partitions: [{ start: 2048, type: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B' }],
    });
    const fat = partitionOf(file('-efi.img'));
    run('fsck.fat', '-n', fat);
    expect(onFat(fat, 'EFI/BOOT/BOOTX64.EFI').equals(readFileSync(file('.efi')))).toBe(true);
  });

  it('for BIOS have syslinux, the kernel and the initrd in an active partition', async () => {
    const file = await filesOf('raw-bios', 'aws', 'kernel+initrd');
    expect(run('sfdisk', '--verify', file('-bios.img'))).toContain('No errors detected.');
    expect(run('sfdisk', '--dump', file('-bios.img'))).toMatch(/start= +2048,.*type=c, bootable/);
    const fat = partitionOf(file('-bios.img'));
    run('fsck.fat', '-n', fat);
    expect(onFat(fat, 'kernel').equals(readFileSync(file('-kernel')))).toBe(true);
    expect(onFat(fat, 'initrd.img').equals(readFileSync(file('-initrd.img')))).toBe(true);
    expect(onFat(fat, 'syslinux.cfg').toString()).toContain('\n  APPEND console=ttyS0\n');
    expect(readFileSync(file('.raw')).equals(readFileSync(file('-bios.img')))).toBe(true);
  });

  it.for([
    ['qcow2-bios', 'qcow2', 'raw-bios'],
    ['qcow2-efi', 'qcow2', 'raw-efi'],
    ['vmdk', 'vmdk', 'raw-bios'],
    ['vhd', 'vpc', 'raw-bios'],
    ['dynamic-vhd', 'vpc', 'raw-bios'],
  ] as const)('qemu-img reads %s', async ([name, format, rawName]) => {
    const file = await filesOf(name, rawName);
    const [end, raw] = [DISK_FILES[name], DISK_FILES[rawName]];
    if (format !== 'vpc')
      expect(run('qemu-img', 'check', '-f', format, file(end))).toContain('No errors were found');
    expect(run('qemu-img', 'compare', '-f', format, '-F', 'raw', file(end), file(raw))).toContain(
      'Images are identical.',
    );
  });

  it('for Google are one sparse file of whole GiB in a tar archive', async () => {
    const file = await filesOf('gcp', 'raw-bios');
    const out = tempDir();
    run('tar', '--extract', '--gzip', `--file=${file('.img.tar.gz')}`, `--directory=${out}`);
    const disk = join(out, 'disk.raw');
    const { size, blocks } = statSync(disk);
    expect(size).toBe(2 ** 30);
    expect(blocks * 512).toBeLessThan(2 ** 27);
    const raw = readFileSync(file('-bios.img'));
    run('cmp', `--bytes=${raw.length}`, disk, file('-bios.img'));
  });

  it.for([
    ['iso-bios', /El Torito boot img : +1 +BIOS +y +none +0x0000 +0x00 +4 /, '0x80  0x17'],
    ['iso-efi', /El Torito boot img : +1 +UEFI +y +none /, '0x00  0xef'],
    ['iso-efi-initrd', /El Torito boot img : +1 +UEFI +y +none /, '0x00  0xef'],
  ] as const)(
    'xorriso finds the boot images of %s, also on a disk',
    async ([format, torito, partitions]) => {
      const file = await filesOf(format);
      const end = DISK_FILES[format];
      const options = ['-indev', file(end), '-report_el_torito', 'plain'];
      const report = run('xorriso', ...options, '-report_system_area', 'plain');
      expect(report).toMatch(torito);
      expect(report).toContain(partitions);
      if (format === 'iso-bios') expect(report).toContain('boot-info-table isohybrid-suitable');
    },
  );

  it('for EFI have the EFI program in the file system for firmware', async () => {
    const file = await filesOf('iso-efi', 'uki');
    const out = tempDir();
    const iso = join(tempDir(), 'x.iso');
    // xorriso leaves out the last sector of a medium.
    writeFileSync(iso, Buffer.concat([readFileSync(file('-efi.iso')), Buffer.alloc(2048)]));
    run('xorriso', '-osirrox', 'on', '-indev', iso, '-extract_boot_images', out);
    const [image = ''] = run('find', out, '-name', 'eltorito_img*.img').trim().split('\n');
    run('fsck.fat', '-n', image);
    expect(onFat(image, 'EFI/BOOT/BOOTX64.EFI').equals(readFileSync(file('.efi')))).toBe(true);
  });
});

describe('disk size', () => {
  it('is at least the requested size, with extra space unpartitioned', async () => {
    const { dir } = await compose({ format: ['raw-efi', 'qcow2-bios'], diskSize: 2 ** 27 });
    expect(statSync(join(dir, 'x-efi.img')).size).toBe(2 ** 27);
    expect(run('sgdisk', '--verify', join(dir, 'x-efi.img'))).toContain('No problems found.');
    expect(run('qemu-img', 'info', join(dir, 'x.qcow2'))).toContain('(134217728 bytes)');
  });

  it('is rejected if too small', async () => {
    await expect(compose({ format: ['raw-bios'], diskSize: 2 ** 20 })).rejects.toThrow(
      expect.objectContaining({ code: 'USAGE_INVALID' }),
    );
  });
});

function withTwoLines(config: string): string {
  return config.replace('console=ttyS0', String.raw`"console=ttyS0\nquiet"`);
}

function withoutKernel(config: string): string {
  return config.replace(/^kernel:\n(?: .*\n)+/, '');
}

describe('diskOutputs rejects', () => {
  it('two formats with the same file name', async () => {
    for (const format of [
      ['vhd', 'dynamic-vhd'],
      ['kernel+iso', 'iso-bios'],
    ] as const)
      await expect(compose({ format })).rejects.toThrow('two formats write x.');
  });

  it('a command line with two lines, since the boot loader reads one', async () => {
    const change = withTwoLines;
    await expect(compose({ format: ['iso-bios'], change })).rejects.toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
    await compose({ format: ['uki'], change });
  });

  it('a disk without a kernel', async () => {
    const change = withoutKernel;
    await expect(compose({ format: ['raw-efi'], change })).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });
});
