// https://www.qemu.org/docs/master/interop/qcow2.html; VMware, "Virtual Disk Format 5.0"
import { type FileHandle, open } from 'node:fs/promises';
import { LktError } from '@lkt/core';
import { bytesAt } from './bytes-at.ts';

/** Incompatible feature of qcow2: the data is in another file. */
const EXTERNAL_DATA = 4;
const VMDK_MAGIC = 'KDMV';
/** Bytes that QEMU reads of a descriptor. */
const DESCRIPTOR_SIZE = 20 * 512;
/** The header is at the end of the file. */
const AT_END = 0xffff_ffff_ffff_ffffn;

/**
 * Checks that a disk is complete in its file. QEMU would open any other file that the disk names,
 * so that a guest could read and write the files of the user who starts it.
 * @throws UNSUPPORTED
 */
export async function requireNoReferences(path: string, format: 'qcow2' | 'vmdk'): Promise<void> {
  await using file = await open(path, 'r');
  const refers = format === 'qcow2' ? await qcow2Refers(file) : await vmdkRefers(file);
  if (!refers) return;
  throw new LktError(
    'UNSUPPORTED',
    `${path} refers to other files, which the machine could read and write`,
    {
      fix: `if you trust it, make a complete disk: qemu-img convert -O qcow2 ${path} NEW.qcow2`,
    },
  );
}

async function qcow2Refers(file: FileHandle): Promise<boolean> {
  const header = await bytesAt(file, 0, 80);
  const hasBackingFile = header.readBigUInt64BE(8) !== 0n;
  const isVersion2 = header.readUInt32BE(4) < 3;
  return hasBackingFile || (!isVersion2 && (header.readUInt8(79) & EXTERNAL_DATA) !== 0);
}

async function vmdkRefers(file: FileHandle): Promise<boolean> {
  const header = await bytesAt(file, 0, 80);
  if (header.toString('latin1', 0, 4) !== VMDK_MAGIC) return true;
  const [capacity, descriptor] = [header.readBigUInt64LE(12), header.readBigUInt64LE(28)];
  // Without a capacity, QEMU reads the descriptor as if it were the whole file.
  if (capacity === 0n || header.readBigUInt64LE(56) === AT_END) return true;
  for (const at of [0, Number(descriptor) * 512]) {
    if (!Number.isSafeInteger(at)) return true;
    const text = (await bytesAt(file, at, DESCRIPTOR_SIZE)).toString('latin1');
    if (text.includes('parentFileNameHint')) return true;
  }
  return false;
}
