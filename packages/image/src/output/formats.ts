import { LktError } from '@lkt/core';

/** Names of the output formats of an image. */
export const FORMATS = [
  'kernel+initrd',
  'kernel+squashfs',
  'kernel+erofs',
  'kernel+iso',
  'tar-kernel-initrd',
  'tar',
  'docker',
  'oci',
  'iso-bios',
  'iso-efi',
  'iso-efi-initrd',
  'raw-bios',
  'raw-efi',
  'qcow2-bios',
  'qcow2-efi',
  'uki',
  'aws',
  'gcp',
  'vhd',
  'dynamic-vhd',
  'vmdk',
] as const;

/** An output format. */
export type Format = (typeof FORMATS)[number];

/** File name suffixes of the formats that boot by themselves. */
export const DISK_FILES = {
  'iso-bios': '.iso',
  'iso-efi': '-efi.iso',
  'iso-efi-initrd': '-efi-initrd.iso',
  'raw-bios': '-bios.img',
  'raw-efi': '-efi.img',
  'qcow2-bios': '.qcow2',
  'qcow2-efi': '-efi.qcow2',
  uki: '.efi',
  aws: '.raw',
  gcp: '.img.tar.gz',
  vhd: '.vhd',
  'dynamic-vhd': '.vhd',
  vmdk: '.vmdk',
} as const;

/** A format that boots by itself. */
export type DiskFormat = keyof typeof DISK_FILES;

/** Reports whether a format boots by itself. */
export function isDiskFormat(format: Format): format is DiskFormat {
  return Object.hasOwn(DISK_FILES, format);
}

/** Formats with an initrd. */
export const INITRD_FORMATS: readonly Format[] = [
  'kernel+initrd',
  'tar-kernel-initrd',
  ...FORMATS.filter(isDiskFormat),
];

/** Formats that use the compressor. */
export const PACKED_FORMATS: readonly Format[] = [
  ...INITRD_FORMATS,
  'kernel+squashfs',
  'kernel+erofs',
];

/** LinuxKit formats that lkt does not write, with alternatives. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  [
    'rpi3',
    'lkt makes images for amd64 only; on an arm64 host LinuxKit makes one: linuxkit build --format rpi3',
  ],
]);

/**
 * Parses the name of a format.
 * @throws LktError UNSUPPORTED for one that only LinuxKit has, USAGE_INVALID
 */
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
