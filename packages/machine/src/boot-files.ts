import { access, constants, readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isErrno, LktError } from '@lkt/core';

/** The files of `lkt build` that QEMU loads. */
export interface BootFiles {
  readonly kernel: string;
  /** Undefined if the root is a disk. */
  readonly initrd?: string;
  /** The root file system: the first disk, read-only. */
  readonly root?: string;
  readonly cmdline: string;
}

/**
 * Returns the boot files of the image PREFIX: `PREFIX-kernel`, `PREFIX-initrd.img` and, if present,
 * `PREFIX-cmdline`.
 *
 * For a root disk (`PREFIX-erofs.img`, `PREFIX-squashfs.img` or `PREFIX.iso`) returns the disk,
 * `PREFIX-kernel` and the disk's command line, such as `PREFIX-erofs-cmdline`. An image without an
 * initrd is found by its PREFIX too.
 * @throws NOT_FOUND with the missing file
 */
export async function findBootFiles(prefix: string): Promise<BootFiles> {
  if (!(await isFile(`${prefix}-initrd.img`)))
    for (const root of [`${prefix}-erofs.img`, `${prefix}-squashfs.img`])
      if (await isFile(root)) return findBootFiles(root);
  const { base, kind } = rootDisk(prefix) ?? {};
  const rest = base === undefined ? { initrd: `${prefix}-initrd.img` } : { root: prefix };
  const kernel = `${base ?? prefix}-kernel`;
  const cmdline = kind === undefined ? `${prefix}-cmdline` : `${base}-${kind}-cmdline`;
  const needed = kind === undefined ? [kernel, ...Object.values(rest)] : [prefix, kernel, cmdline];
  for (const file of needed) {
    if (await isFile(file)) continue;
    throw new LktError('NOT_FOUND', `there is no image "${prefix}": ${file} is missing`, {
      fix: fixFor(prefix),
    });
  }
  try {
    return { kernel, ...rest, cmdline: (await readFile(cmdline, 'utf8')).trim() };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { kernel, ...rest, cmdline: '' };
    throw error;
  }
}

/**
 * Returns the prefix and kind of a root disk that a kernel mounts without an initrd, judged by its
 * name.
 */
export function rootDisk(
  path: string,
): { readonly base: string; readonly kind: string } | undefined {
  const [, base, kind = 'iso'] = /^(.+?)(?:-(erofs|squashfs)\.img|\.iso)$/.exec(path) ?? [];
  return base === undefined ? undefined : { base, kind };
}

/** Reports whether a path is a file. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** Reports whether this user can read a file. */
export async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/**
 * Suggests a command to a user who passed a config, or one of the three files, instead of the
 * prefix.
 */
function fixFor(prefix: string): string {
  const image = prefix.replace(/-(?:kernel|initrd\.img|cmdline)$/, '');
  if (image !== prefix) return `pass their common prefix: lkt run ${basename(image)}`;
  const name = basename(prefix).replace(/\.ya?ml$/, '');
  return name === basename(prefix)
    ? 'run lkt build NAME.yml'
    : `run lkt build, then lkt run ${name}`;
}
