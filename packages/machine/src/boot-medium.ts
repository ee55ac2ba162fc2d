import { type FileHandle, open } from 'node:fs/promises';
import { isFile, rootDisk } from './boot-files.ts';
import { bytesAt } from './bytes-at.ts';
import { requireNoReferences } from './disk-references.ts';

/** A file that firmware boots: a disk, an ISO image, or an EFI program. */
export interface BootMedium {
  readonly path: string;
  readonly kind: 'disk' | 'cdrom' | 'program';
  /** QEMU's name of the format. */
  readonly format: 'raw' | 'qcow2' | 'vpc' | 'vmdk';
  readonly firmware: 'bios' | 'efi';
}

const FORMATS: Readonly<Record<string, BootMedium['format']>> = {
  qcow2: 'qcow2',
  vhd: 'vpc',
  vmdk: 'vmdk',
};

/**
 * Returns the boot medium at a path, judged by its name; undefined for other names and missing
 * files.
 * @param isEfi undefined: the firmware for which the medium was made
 * @throws UNSUPPORTED for a disk that refers to other files
 */
export async function findBootMedium(
  path: string,
  isEfi?: boolean,
): Promise<BootMedium | undefined> {
  const [, end] = /\.(iso|img|raw|qcow2|vhd|vmdk|efi)$/.exec(path) ?? [];
  if (end === undefined || /-(?:initrd|squashfs|erofs)\.img$/.test(path)) return undefined;
  if (!(await isFile(path)) || (end === 'iso' && (await isRoot(path)))) return undefined;
  const kind = end === 'iso' ? 'cdrom' : end === 'efi' ? 'program' : 'disk';
  const format = FORMATS[end] ?? 'raw';
  if (format === 'qcow2' || format === 'vmdk') await requireNoReferences(path, format);
  const usesEfi =
    kind === 'program' ||
    (isEfi ?? (format === 'raw' ? await isForEfi(path) : /-efi\.[^.]*$/.test(path)));
  return { path, kind, format, firmware: usesEfi ? 'efi' : 'bios' };
}

/** Reports whether an ISO image is a root for the kernel beside it instead of a boot medium. */
async function isRoot(path: string): Promise<boolean> {
  if (!(await isFile(`${rootDisk(path)?.base}-iso-cmdline`))) return false;
  await using file = await open(path, 'r');
  return (await bootCatalog(file)) === undefined;
}

/**
 * Reports whether a disk has a GUID partition table, or an ISO image whose first boot entry is for
 * EFI.
 */
async function isForEfi(path: string): Promise<boolean> {
  await using file = await open(path, 'r');
  if ((await textAt(file, 512, 8)) === 'EFI PART') return true;
  const catalog = await bootCatalog(file);
  if (catalog === undefined) return false;
  return (await bytesAt(file, catalog * ISO_SECTOR + 1, 1)).readUInt8(0) === EFI_PLATFORM;
}

/** Returns the sector of an ISO image's boot catalog (El Torito), or undefined without one. */
async function bootCatalog(file: FileHandle): Promise<number | undefined> {
  const record = 17 * ISO_SECTOR;
  if ((await textAt(file, record, 30)) !== '\0CD001\x01EL TORITO SPECIFICATION') return undefined;
  return (await bytesAt(file, record + 0x47, 4)).readUInt32LE(0);
}

const ISO_SECTOR = 2048;
const EFI_PLATFORM = 0xef;

async function textAt(file: FileHandle, position: number, length: number): Promise<string> {
  return (await bytesAt(file, position, length)).toString('latin1');
}
