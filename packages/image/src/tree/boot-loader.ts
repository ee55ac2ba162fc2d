import { LktError } from '@lkt/core';
import { fromRaw, joinChunks, readArchives, singleChunk } from '@lkt/oci';
import type { ImageReference } from '../config/reference.ts';
import type { SourceImage, SourceImages } from './source-image.ts';

/** Boot loaders for BIOS and EFI, from `tools/boot`. */
export interface BootLoader {
  /** systemd's stub, the base of a unified kernel image. */
  readonly efiStub: Buffer;
  /** First sector of a disk; starts the boot sector of the partition. */
  readonly mbr: Buffer;
  /** First sector of a partition with syslinux, and the file that it loads. */
  readonly syslinuxSector: Buffer;
  readonly ldlinuxSys: Buffer;
  /** Second stage of syslinux and isolinux. */
  readonly ldlinuxC32: Buffer;
  readonly isolinux: Buffer;
  /** First sector of an ISO image on a disk. */
  readonly isoMbr: Buffer;
}

const FILES: Readonly<Record<keyof BootLoader, string>> = {
  efiStub: 'efi/linuxx64.efi.stub',
  mbr: 'bios/mbr.bin',
  syslinuxSector: 'bios/ldlinux.bss',
  ldlinuxSys: 'bios/ldlinux.sys',
  ldlinuxC32: 'bios/ldlinux.c32',
  isolinux: 'bios/isolinux.bin',
  isoMbr: 'bios/isohdpfx.bin',
};

/** Bytes. Ten times the largest file. */
const MAX_SIZE = 2 ** 20;

/** @throws LktError NOT_FOUND, IMAGE_INVALID */
export async function loadBootLoader(
  reference: ImageReference,
  images: SourceImages,
): Promise<BootLoader> {
  const source = await images.find(reference);
  const found = await readSmallFiles(source, new Set(Object.values(FILES)));
  const loaded = Object.entries(FILES).map(([key, path]) => {
    const data = found.get(path);
    if (data !== undefined) return [key, data] as const;
    throw new LktError('NOT_FOUND', `there is no file "${path}" in ${source.label}`);
  });
  return Object.fromEntries(loaded) as unknown as BootLoader;
}

async function readSmallFiles(
  source: SourceImage,
  paths: ReadonlySet<string>,
): Promise<ReadonlyMap<string, Buffer>> {
  const { tree } = await source.bareTree();
  const found = new Map<string, Buffer>();
  const files = readArchives(source.archives(), tree, ({ path }) => paths.has(path));
  for await (const { path, size, content } of files) {
    if (size > MAX_SIZE)
      throw new LktError('IMAGE_INVALID', `${fromRaw(path)} of ${source.label} is too large`);
    found.set(path, await joinChunks(content ?? singleChunk(Buffer.of())));
  }
  return found;
}
