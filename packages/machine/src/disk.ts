import { execFile } from 'node:child_process';
import { open, stat, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isErrno, LktError } from '@lkt/core';
import { toolMissing } from './tool.ts';

/** Formats of disk files. */
export type DiskFormat = 'raw' | 'qcow2';

/** A file that the guest sees as a disk: `/dev/vda`, `/dev/vdb`… in the given order. */
export interface Disk {
  /** Undefined: a file named after the image. */
  readonly path?: string;
  /** Bytes; the size of a new file. */
  readonly size?: number;
  readonly format: DiskFormat;
}

/**
 * Parses `[file=]PATH[,size=1G][,format=raw|qcow2]`; without PATH a size is required. A size
 * without unit is in MiB.
 *
 * The format never depends on the content, because a guest can write any content to its raw disk.
 * @throws USAGE_INVALID
 * @example
 * ```ts
 * parseDisk('data.img,size=1G'); // { path: 'data.img', size: 1073741824, format: 'raw' }
 * ```
 */
export function parseDisk(text: string): Disk {
  const wrong = (why: string): LktError =>
    new LktError('USAGE_INVALID', `--disk ${text}: ${why}`, {
      fix: 'write it as PATH,size=1G,format=qcow2; size and format are optional',
    });
  let path: string | undefined;
  let size: number | undefined;
  let format: DiskFormat | undefined;
  for (const part of text.split(',')) {
    const [, key, value = ''] = /^(file|size|format)=(.*)$/.exec(part) ?? [];
    if (key === 'size') {
      size = bytes(value);
      if (size === undefined) throw wrong(`"${value}" is not a size`);
    } else if (key === 'format') {
      if (value !== 'raw' && value !== 'qcow2') throw wrong('the format must be raw or qcow2');
      format = value;
    } else if (path === undefined) {
      path = key === 'file' ? value : part;
    } else {
      throw wrong(`"${part}" is neither size nor format`);
    }
  }
  if (path === '' || (path === undefined && size === undefined)) throw wrong('the path is missing');
  return {
    path,
    size,
    format: format ?? (path?.endsWith('.qcow2') === true ? 'qcow2' : 'raw'),
  };
}

/**
 * Creates the file of a disk unless it exists. An existing file keeps its size.
 * @throws NOT_FOUND (missing file and no size), TOOL_MISSING (qcow2 without qemu-img), DISK_FULL,
 * IO_FAILED
 */
export async function ensureDisk(disk: Disk & { readonly path: string }): Promise<void> {
  try {
    await stat(disk.path);
    return;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  if (disk.size === undefined) {
    throw new LktError('NOT_FOUND', `there is no disk ${disk.path}`, {
      fix: `add a size to create it: --disk ${disk.path},size=1G`,
    });
  }
  if (disk.format === 'qcow2') return createQcow2(disk.path, disk.size);
  const file = await open(disk.path, 'wx');
  try {
    await file.truncate(disk.size);
  } catch (error) {
    await unlink(disk.path);
    throw isErrno(error, 'ENOSPC', 'EFBIG')
      ? new LktError('DISK_FULL', `not enough space for the disk ${disk.path}`, { cause: error })
      : error;
  } finally {
    await file.close();
  }
}

function bytes(text: string): number | undefined {
  const [, number, unit = 'M'] = /^(\d{1,9})([KMGT]?)B?$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const power = 'KMGT'.indexOf((unit === '' ? 'M' : unit).toUpperCase()) + 1;
  const size = Number(number) * 1024 ** power;
  return size > 0 && Number.isSafeInteger(size) ? size : undefined;
}

async function createQcow2(path: string, size: number): Promise<void> {
  const words = ['create', '-q', '-f', 'qcow2', '--', path, String(size)];
  try {
    await promisify(execFile)('qemu-img', words);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw toolMissing('qemu-img', 'qemu-utils');
    if (!(error instanceof Error && 'stderr' in error)) throw error;
    const message = String(error.stderr).trim();
    throw new LktError('IO_FAILED', `qemu-img could not create ${path}: ${message}`);
  }
}
