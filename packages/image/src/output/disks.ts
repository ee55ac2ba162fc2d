import { digestHex, digestOf, LktError } from '@lkt/core';
import { gzip, toRaw } from '@lkt/oci';
import {
  type Content,
  type Disk,
  dynamicVhdBytes,
  fileSystemOf,
  FIRST_PARTITION_SECTOR,
  type FsEntry,
  gptDisk,
  inMemory,
  installSyslinux,
  type IsoImage,
  masterBootRecord,
  mbrDisk,
  MIB,
  planFat,
  planIso,
  planUki,
  qcow2Bytes,
  rawBytes,
  roundUp,
  SECTOR_SIZE,
  sparseTar,
  syslinuxConfig,
  type Uki,
  vhdBytes,
  vmdkBytes,
} from '@lkt/formats';
import type { ComposeOptions } from '../compose-options.ts';
import type { Initrd } from '../initrd/initrd.ts';
import type { Plan } from '../plan.ts';
import type { BootLoader } from '../tree/boot-loader.ts';
import type { Kernel } from '../tree/kernel.ts';
import { rootEntry } from '../tree/memory.ts';
import { DISK_FILES, type DiskFormat, isDiskFormat } from './formats.ts';
import type { Output } from './write.ts';

const LABEL = 'LKT';
/** Google accepts whole GiB only. */
const GIB = 2 ** 30;

/**
 * Returns the disks, ISO images and EFI programs that boot a planned image, and the EFI program of
 * all EFI formats.
 * @throws LktError as `planUki`; USAGE_INVALID for a size that is too small; UNSUPPORTED for a
 * command line that the boot loader cannot hold
 */
export async function diskOutputs(
  { bootLoader, cache }: Plan,
  kernel: Kernel,
  initrd: Initrd,
  options: Pick<ComposeOptions, 'name' | 'format' | 'diskSize' | 'efiSigner'>,
): Promise<{ readonly outputs: readonly Output[]; readonly uki?: Uki }> {
  const { name, diskSize: size = 0, efiSigner: signer } = options;
  const wanted = options.format.filter(isDiskFormat);
  if (wanted.length === 0) return { outputs: [] };
  if (bootLoader === undefined) throw new Error('there is no boot loader');
  const files: BootContents = {
    bootLoader,
    kernel: { size: kernel.kernel.size, bytes: () => cache.read(kernel.kernel) },
    initrd,
    cmdline: kernel.cmdline,
    ids: idsOf(kernel, initrd),
  };
  const uki = wanted.some(isEfi)
    ? await planUki({
        stub: bootLoader.efiStub,
        ...files,
        signer,
      })
    : undefined;
  const outputs = wanted.map((format): Output => {
    const file = `${name}${DISK_FILES[format]}`;
    if (format === 'uki') return { name: file, bytes: () => requireUki(uki).bytes() };
    if (format === 'iso-bios') return isoOutput(file, biosIso(files));
    if (format === 'iso-efi' || format === 'iso-efi-initrd')
      return isoOutput(file, efiIso(requireUki(uki), files));
    const least = format === 'gcp' ? roundUp(Math.max(size, 1), GIB) : size;
    const disk = isEfi(format) ? efiDisk(requireUki(uki), files, least) : biosDisk(files, least);
    requireRoom(disk, least);
    return { name: file, bytes: () => DISK_BYTES[format](disk, files.ids, file) };
  });
  return { outputs, uki };
}

interface BootContents {
  readonly bootLoader: BootLoader;
  readonly kernel: Content;
  readonly initrd: Content;
  readonly cmdline: string;
  readonly ids: Ids;
}

/** Identifiers derived from the content. */
interface Ids {
  readonly id: number;
  readonly diskId: string;
  readonly partitionId: string;
}

type Written = Exclude<DiskFormat, 'uki' | 'iso-bios' | 'iso-efi' | 'iso-efi-initrd'>;

const DISK_BYTES: Readonly<
  Record<Written, (disk: Disk, ids: Ids, file: string) => AsyncIterable<Uint8Array>>
> = {
  'raw-bios': rawBytes,
  'raw-efi': rawBytes,
  aws: rawBytes,
  'qcow2-bios': qcow2Bytes,
  'qcow2-efi': qcow2Bytes,
  gcp: (disk) => gzip(sparseTar(disk, 'disk.raw')),
  vhd: (disk, { diskId }) => vhdBytes(disk, diskId),
  'dynamic-vhd': (disk, { diskId }) => dynamicVhdBytes(disk, diskId),
  vmdk: (disk, { id }, file) => vmdkBytes(disk, file, id),
};

function isEfi(format: DiskFormat): boolean {
  return format === 'uki' || format.includes('-efi');
}

function requireUki(uki: Uki | undefined): Uki {
  if (uki === undefined) throw new Error('there is no EFI program');
  return uki;
}

function requireRoom(disk: Disk, size: number): void {
  if (size === 0 || disk.size <= roundUp(size, MIB)) return;
  throw new LktError('USAGE_INVALID', `the disk needs ${disk.size / MIB} MiB`, {
    fix: `--size ${disk.size / MIB}M, or leave it out`,
  });
}

function idsOf({ kernel, cmdline }: Kernel, { id }: Initrd): Ids {
  const hash = (what: string): string =>
    digestHex(digestOf([what, kernel.digest, id, cmdline].join('\0')));
  const uuid = (what: string): string =>
    hash(what).replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5');
  return {
    id: Number.parseInt(hash('id').slice(0, 8), 16),
    diskId: uuid('disk'),
    partitionId: uuid('partition'),
  };
}

function efiDisk(uki: Content, { ids }: BootContents, size: number): Disk {
  const fat = planFat([{ path: 'EFI/BOOT/BOOTX64.EFI', ...contentOf(uki) }], {
    kind: 'fat32',
    id: ids.id,
    label: LABEL,
    hidden: FIRST_PARTITION_SECTOR,
  });
  return gptDisk(fat.disk(), ids, size);
}

function biosDisk({ bootLoader, kernel, initrd, cmdline, ids }: BootContents, size: number): Disk {
  let installed = { bootSector: bootLoader.syslinuxSector, ldlinux: bootLoader.ldlinuxSys };
  const fat = planFat(
    [
      {
        path: 'ldlinux.sys',
        size: bootLoader.ldlinuxSys.length,
        bytes: () => [installed.ldlinux],
      },
      { path: 'ldlinux.c32', ...inMemory(bootLoader.ldlinuxC32) },
      { path: 'syslinux.cfg', ...inMemory(Buffer.from(syslinuxConfig(cmdline))) },
      { path: 'kernel', ...kernel },
      { path: 'initrd.img', ...contentOf(initrd) },
    ],
    { kind: 'fat32', id: ids.id, label: LABEL, hidden: FIRST_PARTITION_SECTOR },
  );
  installed = installSyslinux(installed, fat.sectorOf('ldlinux.sys'));
  return mbrDisk(fat.disk(installed.bootSector), { code: bootLoader.mbr, id: ids.id }, size);
}

function contentOf(content: Content): Content {
  return { size: content.size, bytes: () => content.bytes() };
}

/**
 * Returns an ISO image with an EFI file system, which is also a partition when copied to a disk.
 */
function efiIso(uki: Content, { ids }: BootContents): IsoImage {
  const fat = planFat([{ path: 'EFI/BOOT/BOOTX64.EFI', ...contentOf(uki) }], {
    kind: 'smallest',
    id: ids.id,
    label: LABEL,
  }).disk();
  return planIso(
    fileSystemOf([], async function* () {}),
    {
      volumeId: LABEL,
      boot: [{ platform: 'efi', size: fat.size, data: () => rawBytes(fat) }],
      systemArea: ({ boot: [entry] }) =>
        masterBootRecord(new Uint8Array(), ids.id, [
          {
            type: 0xef,
            isActive: false,
            start: (entry?.start ?? 0) * SECTORS,
            // Rounded up to ISO sectors, as in the boot catalog.
            sectors: roundUp(fat.size, SECTOR_SIZE * SECTORS) / SECTOR_SIZE,
          },
        ]),
    },
  );
}

/** Disk sectors per ISO sector. */
const SECTORS = 4;
/** Offset of isolinux's disk sector in the isohybrid boot code. */
const ISOLINUX_OFFSET = 432;
/** Partition type that no system mounts automatically. */
const HIDDEN_NTFS = 0x17;

/** Returns an ISO image with isolinux that also boots from a disk (syslinux's isohybrid). */
function biosIso({ bootLoader, kernel, initrd, cmdline, ids }: BootContents): IsoImage {
  const contents: Readonly<Record<string, Content>> = {
    'isolinux.bin': inMemory(bootLoader.isolinux),
    'ldlinux.c32': inMemory(bootLoader.ldlinuxC32),
    'isolinux.cfg': inMemory(Buffer.from(syslinuxConfig(cmdline))),
    kernel,
    'initrd.img': initrd,
  };
  const entries = Object.entries(contents).map(([path, { size }]): FsEntry => ({
    ...rootEntry(toRaw(path), 'file', 0o444, size),
    file: path,
  }));
  const files = fileSystemOf(entries, async function* () {
    for (const [path, content] of Object.entries(contents))
      yield { content: path, data: streamOf(content) };
  });
  const { isolinux } = bootLoader;
  return planIso(files, {
    volumeId: LABEL,
    boot: [
      {
        platform: 'bios',
        path: toRaw('isolinux.bin'),
        size: isolinux.length,
        data: isolinux,
        infoTable: true,
      },
    ],
    systemArea: ({ size, boot: [entry] }) => {
      const code = Buffer.concat([bootLoader.isoMbr.subarray(0, ISOLINUX_OFFSET)], 440);
      code.writeUInt32LE((entry?.start ?? 0) * SECTORS, ISOLINUX_OFFSET);
      return masterBootRecord(code, ids.id, [
        { type: HIDDEN_NTFS, isActive: true, start: 0, sectors: size / SECTOR_SIZE },
      ]);
    },
  });
}

function isoOutput(name: string, iso: IsoImage): Output {
  return { name, bytes: () => iso.bytes(), head: () => iso.head() };
}

async function* streamOf(content: Content): AsyncGenerator<Uint8Array> {
  yield* content.bytes();
}
