// https://repo.or.cz/syslinux.git: libinstaller/syslxmod.c, libinstaller/syslxint.h
import { LktError } from '@lkt/core';
import { SECTOR } from '../bytes/disk.ts';

/** What syslinux is made of, as `lkt/boot` has it: the boot sector and ldlinux.sys of some other disk. */
export interface Syslinux {
  readonly bootSector: Buffer;
  readonly ldlinux: Buffer;
}

const PATCH_AREA_MAGIC = 0x3eb2_02fe;
/** The auxiliary data vector at the end of ldlinux.sys, which the loader keeps settings in. */
const ADV_SECTORS = 2;
/** An extent is a sector in 64 bits and a count in 16, and is no longer than one read of 64 KiB. */
const EXTENT = 10;
const MAX_EXTENT = 65_536;
/** Where the loader is put in memory; no read goes over a multiple of 64 KiB. */
const LOAD_ADDRESS = 0x8000;

/**
 * Tells syslinux where ldlinux.sys is, as its installer does (libinstaller/syslxmod.c): the boot sector has the first sector
 * of it, that the others, and where the settings are. Sectors count from the beginning of the file system.
 */
export function installSyslinux({ bootSector, ldlinux }: Syslinux, first: number): Syslinux {
  const boot = Buffer.from(bootSector);
  const loader = Buffer.from(ldlinux);
  const area = loader.indexOf(Buffer.of(0xfe, 0x02, 0xb2, 0x3e));
  if (area < 0 || boot.length !== SECTOR || loader.length % SECTOR !== 0) throw invalid();
  const dataSectors = loader.length / SECTOR - ADV_SECTORS;
  const words = (dataSectors * SECTOR) / 4;
  const extended = loader.readUInt16LE(area + 22);
  const field = (index: number): number => loader.readUInt16LE(extended + 2 * index);
  const [advPointers, extents, extentCount] = [field(0), field(5), field(6)];
  const [firstLow, firstHigh] = [field(7), field(8)];
  boot.writeUInt32LE(first, firstLow);
  boot.writeUInt32LE(0, firstHigh);

  loader.writeUInt16LE(dataSectors, area + 8);
  loader.writeUInt16LE(ADV_SECTORS, area + 10);
  loader.writeUInt32LE(words, area + 12);
  loader.fill(0, extents, extents + extentCount * EXTENT);
  let at = extents;
  let address = LOAD_ADDRESS + SECTOR;
  for (let sector = 1; sector < dataSectors;) {
    const room = (MAX_EXTENT - (address % MAX_EXTENT)) / SECTOR;
    const count = Math.min(dataSectors - sector, room);
    if (at >= extents + extentCount * EXTENT) throw invalid();
    loader.writeBigUInt64LE(BigInt(first + sector), at);
    loader.writeUInt16LE(count, at + 8);
    at += EXTENT;
    sector += count;
    address += count * SECTOR;
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
  return new LktError('IMAGE_INVALID', 'the image of the boot loader has another syslinux');
}

/** The file that says what syslinux and isolinux start. @throws LktError UNSUPPORTED */
export function syslinuxConfig(cmdline: string): string {
  const line = cmdline.trim();
  if (/[\r\n\0]/.test(line))
    throw new LktError(
      'UNSUPPORTED',
      'the boot loader for a BIOS takes a command line of one line',
      {
        fix: 'put kernel.cmdline on one line, or use a format for EFI',
      },
    );
  return `DEFAULT linux
PROMPT 0
LABEL linux
  LINUX /kernel
  INITRD /initrd.img
  APPEND ${line}
`;
}
