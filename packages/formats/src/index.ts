export {
  type Content,
  type Disk,
  type Extent,
  inMemory,
  MIB,
  rawBytes,
  roundUp,
  SECTOR_SIZE,
} from './bytes/disk.ts';
export { blocksOf } from './bytes/blocks.ts';
export { isZeroChunk, type HeadedBytes, zeros } from './bytes/headed-bytes.ts';
export {
  chooseCompression,
  compress,
  type Compression,
  withMaxLevel,
} from './compression/compressor.ts';
export { type Compressor, COMPRESSORS } from './compression/compressors.ts';
export {
  checkCpioEntry,
  cpioHeader,
  type CpioInode,
  cpioTrailer,
  cpioPadding,
} from './cpio/cpio.ts';
export { readInitrd } from './cpio/initrd-reader.ts';
export { type ErofsCompressor, erofsCompressor } from './erofs/compressor.ts';
export { planErofs } from './erofs/erofs.ts';
export { randomAccess, readErofs } from './erofs/reader.ts';
export { planFat } from './fat/fat.ts';
export { type FileFacts, readFileFacts, type FileMap } from './file-system/file-facts.ts';
export { type FileSystem, fileSystemOf, type FsEntry } from './file-system/file-system.ts';
export { type InodeEntry } from './file-system/inode-entry.ts';
export { type IsoImage, planIso } from './iso9660/iso9660.ts';
export { KERNEL_HEADER_BYTES, kernelRelease, kernelInitSize } from './linux-boot/kernel-header.ts';
export {
  FIRST_PARTITION_SECTOR,
  gptDisk,
  masterBootRecord,
  mbrDisk,
} from './partitions/partitions.ts';
export { type EfiSigner, efiSigner } from './pe/authenticode.ts';
export { type PeSection, readPe } from './pe/pe.ts';
export { qcow2Bytes } from './qcow2/qcow2.ts';
export { sparseTar } from './sparse-tar/sparse-tar.ts';
export { blockCompressor } from './squashfs/compressor.ts';
export { planSquashfs } from './squashfs/squashfs.ts';
export { installSyslinux, syslinuxConfig } from './syslinux/syslinux.ts';
export { planUki, type Uki } from './uki/uki.ts';
export { planVerity, verityCmdline, type VerityRoot } from './verity/verity.ts';
export { dynamicVhdBytes, vhdBytes } from './vhd/vhd.ts';
export { vmdkBytes } from './vmdk/vmdk.ts';
