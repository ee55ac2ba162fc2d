// https://repo.or.cz/syslinux.git: libinstaller/syslxmod.c, libinstaller/syslxint.h
import { LktError } from '@lkt/core';
import { SECTOR_SIZE } from '../bytes/disk.ts';

/** The boot sector and ldlinux.sys of syslinux, from the image `lkt/boot`. */
export interface Syslinux {
  readonly bootSector: Buffer;
  readonly ldlinux: Buffer;
}

const PATCH_AREA_MAGIC = 0x3eb2_02fe;
/** The auxiliary data vector at the end of ldlinux.sys, where the loader stores settings. */
const ADV_SECTORS = 2;
/** An extent has a sector (64 bits) and a count (16 bits), and is at most one read of 64 KiB. */
const EXTENT_SIZE = 10;
const MAX_EXTENT_BYTES = 65_536;
/** The load address of the loader; no read crosses a multiple of 64 KiB. */
const LOAD_ADDRESS = 0x8000;

/**
 * Installs syslinux as its installer does (libinstaller/syslxmod.c): writes the first sector of
 * ldlinux.sys into the boot sector, and the other sectors and those of the settings into
 * ldlinux.sys.
 * @param first the first sector of ldlinux.sys, from the beginning of the file system
 * @throws IMAGE_INVALID for an unknown version of syslinux
 */
export function installSyslinux({ bootSector, ldlinux }: Syslinux, first: number): Syslinux {
  const boot = Buffer.from(bootSector);
  const loader = Buffer.from(ldlinux);
  const area = loader.indexOf(Buffer.of(0xfe, 0x02, 0xb2, 0x3e));
  if (area < 0 || boot.length !== SECTOR_SIZE || loader.length % SECTOR_SIZE !== 0) throw invalid();
  const dataSectors = loader.length / SECTOR_SIZE - ADV_SECTORS;
  const words = (dataSectors * SECTOR_SIZE) / 4;
  const extended = loader.readUInt16LE(area + 22);
  const field = (index: number): number => loader.readUInt16LE(extended + 2 * index);
  const [advPointers, extents, extentCount] = [field(0), field(5), field(6)];
  const [firstLow, firstHigh] = [field(7), field(8)];
  boot.writeUInt32LE(first, firstLow);
  boot.writeUInt32LE(0, firstHigh);

  loader.writeUInt16LE(dataSectors, area + 8);
  loader.writeUInt16LE(ADV_SECTORS, area + 10);
  loader.writeUInt32LE(words, area + 12);
  loader.fill(0, extents, extents + extentCount * EXTENT_SIZE);
  let at = extents;
  let address = LOAD_ADDRESS + SECTOR_SIZE;
  for (let sector = 1; sector < dataSectors;) {
    const room = (MAX_EXTENT_BYTES - (address % MAX_EXTENT_BYTES)) / SECTOR_SIZE;
    const count = Math.min(dataSectors - sector, room);
    if (at >= extents + extentCount * EXTENT_SIZE) throw invalid();
    loader.writeBigUInt64LE(BigInt(first + sector), at);
    loader.writeUInt16LE(count, at + 8);
    at += EXTENT_SIZE;
    sector += count;
    address += count * SECTOR_SIZE;
  }
  for (let index = 0; index < ADV_SECTORS; index += 1)
    loader.writeBigUInt64LE(BigInt(first + dataSectors + index), advPointers + 8 * index);

  loader.writeUInt32LE(0, area + 16);
  let sum = PATCH_AREA_MAGIC;
  for (let index = 0; index < words; index += 1) sum = (sum - loader.readUInt32LE(index * 4)) >>> 0;
  loader.writeUInt32LE(sum, area + 16);
  return { bootSector: boot, ldlinux: loader };
}

function invalid(): LktError {
  return new LktError('IMAGE_INVALID', 'the boot loader image has an unknown syslinux version');
}

/**
 * Returns the configuration file of syslinux and isolinux.
 * @throws UNSUPPORTED for a command line with line breaks
 */
export function syslinuxConfig(cmdline: string): string {
  const line = cmdline.trim();
  if (/[\r\n\0]/.test(line))
    throw new LktError('UNSUPPORTED', 'the BIOS boot loader accepts only a one-line command line', {
      fix: 'put kernel.cmdline on one line, or use a format for EFI',
    });
  return `DEFAULT linux
PROMPT 0
LABEL linux
  LINUX /kernel
  INITRD /initrd.img
  APPEND ${line}
`;
}
