import { createReadStream } from 'node:fs';
import { mkdtempDisposable, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isErrno, LktError } from '@lkt/core';
import type { Format } from '@lkt/image';

/** A directory for the one file that is to be written, and what brings it where it is wanted. */
export interface OutputAlone extends AsyncDisposable {
  readonly outDir: string;
  readonly name: string;
  finish<F extends { readonly path: string }>(files: readonly F[]): Promise<F>;
}

/**
 * For `--o` with a name that is not what the format is called by itself, and for `-`, standard output; else undefined.
 * @throws LktError IO_FAILED
 */
export async function outputAlone(
  o: string | undefined,
  format: readonly Format[],
  cwd: string,
): Promise<OutputAlone | undefined> {
  if (o === undefined || (o.endsWith('.tar') && format[0] === 'tar')) return undefined;
  if (o === '-' && process.stdout.isTTY)
    throw new LktError('USAGE_INVALID', 'standard output is a terminal', {
      fix: 'name a file, or lead it into a program: lkt build --o - … | tar t',
    });
  const path = resolve(cwd, o);
  // On the same file system, so that the file comes whole or not at all.
  const above = o === '-' ? tmpdir() : dirname(path);
  const made = await mkdtempDisposable(join(above, '.lkt-')).catch((error: unknown) => {
    if (!isErrno(error, 'EACCES', 'ENOENT', 'ENOTDIR', 'EROFS')) throw error;
    throw new LktError('IO_FAILED', `cannot write into ${above}`, { cause: error });
  });
  return {
    outDir: made.path,
    name: 'image',
    finish: async (files) => {
      const found = files.find((file) => /^image\.(?:docker|tar)$/.test(basename(file.path)));
      if (found === undefined) throw new Error('the file was not written');
      if (o === '-') await pipeline(createReadStream(found.path), process.stdout, { end: false });
      else await rename(found.path, path);
      return { ...found, path };
    },
    [Symbol.asyncDispose]: async () => made.remove(),
  };
}
