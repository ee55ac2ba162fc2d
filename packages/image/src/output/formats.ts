import { LktError } from '@lkt/core';

export const FORMATS = [
  'kernel+initrd',
  'kernel+squashfs',
  'kernel+iso',
  'tar-kernel-initrd',
  'tar',
  'docker',
  'oci',
] as const;

/** A form in which an image is written. */
export type Format = (typeof FORMATS)[number];

/** The forms that have an initrd. */
export const INITRD_FORMATS: readonly Format[] = ['kernel+initrd', 'tar-kernel-initrd'];

const MBR = 'boot the kernel and the initrd from a disk with a boot loader of your choice';
const UEFI = 'ukify (systemd-ukify) makes one EFI program of the three files of kernel+initrd';
const ISO = 'grub-mkrescue makes one of the three files of kernel+initrd';
const DISK = 'put the files of kernel+initrd on a disk image, which qemu-img convert can change';

/** The forms in which something is packed by the compressor that was asked for. */
export const PACKED_FORMATS: readonly Format[] = [...INITRD_FORMATS, 'kernel+squashfs'];

/** Formats of LinuxKit that lkt does not write, and what makes them. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['kernel+erofs', 'mkfs.erofs --tar=f (erofs-utils) makes an erofs of what --format tar writes'],
  ['iso-bios', ISO],
  ['iso-efi', ISO],
  ['iso-efi-initrd', ISO],
  ['raw-bios', MBR],
  ['raw-efi', UEFI],
  ['qcow2-bios', DISK],
  ['qcow2-efi', DISK],
  ['aws', DISK],
  ['gcp', DISK],
  ['vhd', DISK],
  ['dynamic-vhd', DISK],
  ['vmdk', DISK],
  ['rpi3', 'lkt makes images for amd64 only'],
]);

/** The format of a name. @throws LktError UNSUPPORTED for one of LinuxKit's only, USAGE_INVALID */
export function parseFormat(name: string): Format {
  const format = FORMATS.find((known) => known === name);
  if (format !== undefined) return format;
  const elsewhere = ELSEWHERE.get(name);
  const fix = `use ${FORMATS.slice(0, -1).join(', ')} or ${FORMATS.at(-1)}`;
  throw elsewhere === undefined
    ? new LktError('USAGE_INVALID', `"${name}" is not a format`, { fix })
    : new LktError('UNSUPPORTED', `lkt does not write the format ${name}`, {
        fix: `${fix}; ${elsewhere}`,
      });
}
