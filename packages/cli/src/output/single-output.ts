import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtempDisposable, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isErrno, isSpecialFile, LktError } from '@lkt/core';
import type { Format } from '@lkt/image';

/** A directory for a single output file, which `finish` moves to its target. */
export interface SingleOutput extends AsyncDisposable {
  readonly outDir: string;
  readonly name: string;
  finish<F extends { readonly path: string }>(files: readonly F[]): Promise<F>;
}

/**
 * Prepares the output of `--o`, if its name differs from the default of the format, or is `-` for
 * standard output; otherwise returns undefined.
 * @throws LktError IO_FAILED
 */
export async function openSingleOutput(
  o: string | undefined,
  format: readonly Format[],
  cwd: string,
): Promise<SingleOutput | undefined> {
  if (o === undefined || (o.endsWith('.tar') && format[0] === 'tar')) return undefined;
  if (o === '-' && process.stdout.isTTY)
    throw new LktError('USAGE_INVALID', 'standard output is a terminal', {
      fix: 'name a file, or pipe the output into a program: lkt build --o - … | tar t',
    });
  const path = resolve(cwd, o);
  const isSpecial = await isSpecialFile(path);
  // On the same file system, so that a rename writes the file atomically.
  const above = o === '-' || isSpecial ? tmpdir() : dirname(path);
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
      else if (isSpecial) await pipeline(createReadStream(found.path), createWriteStream(path));
      else await rename(found.path, path);
      return { ...found, path };
    },
    [Symbol.asyncDispose]: async () => made.remove(),
  };
}
