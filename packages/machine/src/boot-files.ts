import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isErrno, LktError } from '@lkt/core';

/** What QEMU loads: the files that `lkt build` writes. */
export interface BootFiles {
  readonly kernel: string;
  /** Undefined where the root is a disk. */
  readonly initrd?: string;
  /** The root, which is the first disk of the machine and is not written to. */
  readonly root?: string;
  readonly cmdline: string;
}

/**
 * The files of the image PREFIX: `PREFIX-kernel`, `PREFIX-initrd.img` and, if it is there, `PREFIX-cmdline`. Of the root
 * of an image, `PREFIX-erofs.img`, `PREFIX-squashfs.img` or `PREFIX.iso`: that, `PREFIX-kernel` and `PREFIX-erofs-cmdline`. PREFIX stands for its root where it has no initrd.
 * @throws LktError NOT_FOUND naming the file that is missing
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

/** What a file is the root of, if by its name it is one that a kernel mounts without an initrd. */
export function rootDisk(
  path: string,
): { readonly base: string; readonly kind: string } | undefined {
  const [, base, kind = 'iso'] = /^(.+?)(?:-(erofs|squashfs)\.img|\.iso)$/.exec(path) ?? [];
  return base === undefined ? undefined : { base, kind };
}

export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** Who named a config, or one of the three files, wanted the image that it belongs to. */
function fixFor(prefix: string): string {
  const image = prefix.replace(/-(?:kernel|initrd\.img|cmdline)$/, '');
  if (image !== prefix) return `name all three files at once: lkt run ${basename(image)}`;
  const name = basename(prefix).replace(/\.ya?ml$/, '');
  return name === basename(prefix)
    ? 'build it first: lkt build NAME.yml'
    : `build it first, then name what was built: lkt run ${name}`;
}
