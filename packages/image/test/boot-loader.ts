import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from '@lkt/oci';
import { image, tempDir } from './support.ts';

/** systemd's stub: like a kernel, an EFI program for amd64. */
export const EFI_STUB = '/usr/lib/systemd/boot/efi/linuxx64.efi.stub';

/** Writes an image as tools/boot makes it, from the files of this host. Returns its reference. */
export async function bootLoaderImage(store: Store): Promise<string> {
  const dir = tempDir();
  const disk = join(dir, 'disk');
  writeFileSync(disk, '');
  truncateSync(disk, 64 * 2 ** 20);
  run('mformat', '-i', disk, '-F', '-T', '131072', '-h', '255', '-s', '63', '-N', '0', '::');
  run('syslinux', '--install', disk);
  run('mcopy', '-i', disk, '::ldlinux.sys', join(dir, 'ldlinux.sys'));
  const digest = await image(store, [
    {
      'efi/': '',
      'efi/linuxx64.efi.stub': readFileSync(EFI_STUB),
      'bios/': '',
      'bios/mbr.bin': readFileSync('/usr/lib/SYSLINUX/mbr.bin'),
      'bios/ldlinux.bss': readFileSync(disk).subarray(0, 512),
      'bios/ldlinux.sys': readFileSync(join(dir, 'ldlinux.sys')),
      'bios/ldlinux.c32': readFileSync('/usr/lib/syslinux/modules/bios/ldlinux.c32'),
      'bios/isolinux.bin': readFileSync('/usr/lib/ISOLINUX/isolinux.bin'),
      'bios/isohdpfx.bin': readFileSync('/usr/lib/ISOLINUX/isohdpfx.bin'),
    },
  ]);
  return `lkt/boot:1@${digest}`;
}

function run(command: string, ...args: readonly string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
