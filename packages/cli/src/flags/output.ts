import { basename, dirname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { COMPRESSORS } from '@lkt/formats/compressors';
import { type Format, FORMATS, parseFormat } from '@lkt/image/output-formats';
import { Flags } from './options.ts';

/** Which files `lkt build` writes, and where. */
export const outputFlags = {
  name: Flags.string({
    summary: 'what the names of the files start with; by default the name of the last config',
    helpValue: 'NAME',
  }),
  dir: Flags.string({
    summary: 'where the files are written; by default here',
    helpValue: 'DIR',
  }),
  o: Flags.string({
    summary: 'write this file alone, or to standard output; for one format, tar or docker',
    helpValue: 'FILE|-',
    exclusive: ['name', 'dir'],
  }),
  format: Flags.string({
    char: 'f',
    summary: 'kernel+initrd (the default) or another; several with commas or by repeating it',
    helpValue: FORMATS.join('|'),
    delimiter: ',',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

/** How the initrd among them is compressed. */
export const compressorFlags = {
  compressor: Flags.option({ options: COMPRESSORS })({
    summary: 'how the initrd is compressed',
    default: 'zstd',
  }),
  'compress-level': Flags.integer({
    summary: 'how hard the compressor tries; by default 3 (zstd), 4 (gzip), 6 (xz)',
    helpValue: 'LEVEL',
  }),
};

interface OutputFlags {
  readonly name?: string | undefined;
  readonly dir?: string | undefined;
  readonly o?: string | undefined;
  readonly format?: readonly string[] | undefined;
}

/**
 * The formats of `--format`, each once; by default kernel+initrd, and tar for one file.
 * @throws LktError USAGE_INVALID
 */
export function formatsOf({ format = [], o }: OutputFlags): readonly Format[] {
  const formats = [...new Set(format.map(parseFormat))];
  if (o === undefined) return formats.length === 0 ? ['kernel+initrd'] : formats;
  const [only = 'tar', ...more] = formats;
  if (more.length === 0 && (only === 'tar' || only === 'docker')) return [only];
  throw new LktError(
    'USAGE_INVALID',
    `--o is for --format tar or docker, not ${formats.join(' and ')}`,
    { fix: 'use --dir and --name, or --format tar' },
  );
}

/** Where to write, in LinuxKit's words: the last config's name without its end; `moby` for standard input. */
export function outputOf(
  { name, dir, o }: OutputFlags,
  lastFile: string,
  cwd: string,
): { readonly outDir: string; readonly name: string } {
  if (o !== undefined) {
    const path = resolve(cwd, o);
    return { outDir: dirname(path), name: basename(path, '.tar') };
  }
  const plain = lastFile === '-' ? 'moby' : basename(lastFile).replace(/\.ya?ml$/, '');
  return { outDir: resolve(cwd, dir ?? '.'), name: name ?? plain };
}
