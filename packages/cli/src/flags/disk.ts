import { LktError } from '@lkt/core';
import type { EfiSigner } from '@lkt/formats';
import type { Format } from '@lkt/image';
import { readGiven } from '../session/paths.ts';
import { type FlagValues, grouped, valueFlag } from './options.ts';

/** The flags for disks, and for the EFI programs on them. */
export const diskFlags = grouped('OUTPUT', {
  size: valueFlag('SIZE', 'minimum disk size; default: just large enough', {
    description: 'A size without unit is in MiB. Extra space stays unpartitioned.',
  }),
  'uki-key': valueFlag('FILE', 'RSA key (PEM) that signs the EFI program'),
  'uki-cert': valueFlag('FILE', 'certificate of that key (PEM)'),
});

/**
 * Parses the disk size and reads the key that signs EFI programs.
 * @throws LktError USAGE_INVALID; NOT_FOUND for a missing key file
 */
export async function diskOptions(
  { size, 'uki-key': key, 'uki-cert': certificate }: FlagValues<typeof diskFlags>,
  formats: readonly Format[],
  cwd: string,
): Promise<{ readonly diskSize?: number; readonly efiSigner?: EfiSigner }> {
  const diskSize = size === undefined ? {} : { diskSize: parseSize(size) };
  if (key === undefined && certificate === undefined) return diskSize;
  if (key === undefined || certificate === undefined)
    throw new LktError('USAGE_INVALID', '--uki-key and --uki-cert must be given together');
  if (!formats.some((format) => format === 'uki' || format.includes('-efi')))
    throw new LktError('USAGE_INVALID', '--uki-key applies only to formats with an EFI program', {
      fix: 'use --format uki, raw-efi, qcow2-efi, iso-efi or iso-efi-initrd',
    });
  const { efiSigner } = await import('@lkt/formats');
  return {
    ...diskSize,
    efiSigner: efiSigner(await pemFile(key, cwd), await pemFile(certificate, cwd)),
  };
}

function parseSize(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,7})([MG]?)B?$/i.exec(text) ?? [];
  const size = Number(digits) * (unit.toUpperCase() === 'G' ? 2 ** 30 : 2 ** 20);
  if (size > 0 && size <= MAX_DISK) return size;
  throw new LktError('USAGE_INVALID', `--size ${text} is not a disk size`, {
    fix: 'write it as 1024M or 2G, at most 2 TiB',
  });
}

/** The largest disk of a BIOS partition table, in bytes. */
const MAX_DISK = 2 ** 41;

async function pemFile(name: string, cwd: string): Promise<{ name: string; text: string }> {
  return { name, text: await readGiven(cwd, name) };
}
