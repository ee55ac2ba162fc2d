import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isErrno, LktError } from '@lkt/core';

/** What QEMU loads: the three files that `lkt build` writes. */
export interface BootFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly cmdline: string;
}

/**
 * The files of the image PREFIX: `PREFIX-kernel`, `PREFIX-initrd.img` and, if it is there, `PREFIX-cmdline`.
 * @throws LktError NOT_FOUND naming the file that is missing
 */
export async function findBootFiles(prefix: string): Promise<BootFiles> {
  const kernel = `${prefix}-kernel`;
  const initrd = `${prefix}-initrd.img`;
  for (const file of [kernel, initrd]) {
    const found = await stat(file).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
    });
    if (found?.isFile() !== true) {
      throw new LktError('NOT_FOUND', `there is no image "${prefix}": ${file} is missing`, {
        fix: fixFor(prefix),
      });
    }
  }
  try {
    return { kernel, initrd, cmdline: (await readFile(`${prefix}-cmdline`, 'utf8')).trim() };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { kernel, initrd, cmdline: '' };
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
