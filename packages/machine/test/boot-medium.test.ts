import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findBootMedium } from '../src/boot-medium.ts';
import { prepareEfi } from '../src/efi-firmware.ts';
import { qemuArguments } from '../src/qemu.ts';

const VMDK = Buffer.alloc(512);
VMDK.write('KDMV\x01\0\0\0\x03\0\0\0\x01', 'latin1');
const GPT = Buffer.concat([Buffer.alloc(512), Buffer.from('EFI PART')]);

function iso(platform: number): Buffer {
  const image = Buffer.alloc(20 * 2048);
  image.write('\0CD001\x01EL TORITO SPECIFICATION', 17 * 2048, 'latin1');
  image.writeUInt32LE(19, 17 * 2048 + 0x47);
  image.writeUInt8(platform, 19 * 2048 + 1);
  return image;
}

test.each([
  ['x.img', Buffer.alloc(512), 'disk', 'raw', 'bios'],
  ['x.raw', GPT, 'disk', 'raw', 'efi'],
  ['x-bios.img', Buffer.alloc(0), 'disk', 'raw', 'bios'],
  ['x.iso', iso(0), 'cdrom', 'raw', 'bios'],
  ['x.iso', iso(0xef), 'cdrom', 'raw', 'efi'],
  ['x.iso', Buffer.alloc(100), 'cdrom', 'raw', 'bios'],
  ['x.qcow2', Buffer.alloc(0), 'disk', 'qcow2', 'bios'],
  ['x-efi.qcow2', Buffer.alloc(0), 'disk', 'qcow2', 'efi'],
  ['x.vhd', Buffer.alloc(0), 'disk', 'vpc', 'bios'],
  ['x.vmdk', VMDK, 'disk', 'vmdk', 'bios'],
  ['x.efi', Buffer.alloc(0), 'program', 'raw', 'efi'],
])('recognises %s', async (name, content, kind, format, firmware) => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-medium-'));
  const path = join(dir.path, name);
  writeFileSync(path, content);
  expect(await findBootMedium(path)).toEqual({ path, kind, format, firmware });
  if (kind === 'program') return;
  expect(await findBootMedium(path, true)).toMatchObject({ firmware: 'efi' });
  expect(await findBootMedium(path, false)).toMatchObject({ firmware: 'bios' });
});

test('boot files, configs, directories and missing files are not boot media', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-medium-'));
  for (const name of ['x-initrd.img', 'x-squashfs.img', 'x.yml', 'x-kernel']) {
    writeFileSync(join(dir.path, name), '');
    expect(await findBootMedium(join(dir.path, name))).toBeUndefined();
  }
  expect(await findBootMedium(join(dir.path, 'no.iso'))).toBeUndefined();
  expect(await findBootMedium(join(dir.path, 'x.yml', 'no.iso'))).toBeUndefined();
});

test('a boot medium precedes the disks, and has its own copy of the EFI variables', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-medium-'));
  const efi = await prepareEfi(dir.path);
  expect(efi.variables.startsWith(dir.path)).toBe(true);
  const args = qemuArguments({
    files: { path: 'a,b.iso', kind: 'cdrom', format: 'raw', firmware: 'efi' },
    efi,
    accelerator: 'tcg',
    memory: 256,
    cpus: 1,
    publish: [],
    disks: [{ path: 'd', format: 'raw' }],
    network: false,
  });
  expect(args).toContain(`if=pflash,format=raw,readonly=on,file=${efi.code}`);
  expect(args).toContain(`if=pflash,format=raw,file=${efi.variables}`);
  expect(args).toContain('file=a,,b.iso,format=raw,if=none,id=boot,media=cdrom,readonly=on');
  expect(args.indexOf('ide-cd,drive=boot,bootindex=0')).toBeLessThan(
    args.indexOf('virtio-blk-pci,drive=disk0,serial=disk0'),
  );
  expect(args).not.toContain('-kernel');
});
