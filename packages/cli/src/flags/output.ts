import { basename, dirname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { COMPRESSORS } from '@lkt/formats/compressors';
import { type Format, FORMATS, parseFormat } from '@lkt/image/output-formats';
import { type FlagValues, choiceFlag, Flags, listFlag, valueFlag } from './options.ts';

/** The output flags of `lkt build`. */
export const outputFlags = {
  name: valueFlag('NAME', 'prefix of the output files; default: the name of the last config'),
  dir: valueFlag('DIR', 'output directory; default: the current directory'),
  o: valueFlag(
    'FILE|-',
    'single output file, or - for standard output; requires one format, tar or docker',
    { exclusive: ['name', 'dir'] },
  ),
  format: listFlag(
    FORMATS.join('|'),
    'output format; default: kernel+initrd; separate several by commas or repeat the flag',
    { char: 'f', delimiter: ',' },
  ),
};

/** The flags for the compression of the initrd. */
export const compressorFlags = {
  compressor: choiceFlag(COMPRESSORS, 'compressor of the initrd', { default: 'zstd' }),
  'compress-level': Flags.integer({
    summary: 'compression level; default: 3 (zstd), 4 (gzip), 6 (xz)',
    helpValue: 'LEVEL',
  }),
};

type OutputFlags = FlagValues<typeof outputFlags>;

/**
 * Returns the formats of `--format` without duplicates; default: kernel+initrd, or tar for a single
 * file.
 * @throws LktError USAGE_INVALID
 */
export function formatsOf({ format = [], o }: OutputFlags): readonly Format[] {
  const formats = [...new Set(format.map(parseFormat))];
  if (o === undefined) return formats.length === 0 ? ['kernel+initrd'] : formats;
  const [only = 'tar', ...more] = formats;
  if (more.length === 0 && (only === 'tar' || only === 'docker')) return [only];
  throw new LktError(
    'USAGE_INVALID',
    `--o requires --format tar or docker, not ${formats.join(' and ')}`,
    { fix: 'use --dir and --name, or --format tar' },
  );
}

/**
 * Returns the output directory and the name prefix. As in LinuxKit, the default name is that of the
 * last config without its extension, and `moby` for standard input.
 */
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
