import { basename, dirname, resolve } from 'node:path';
import { LktError } from '@lkt/core';
import { COMPRESSORS } from '@lkt/formats/compressors';
import { type Format, FORMATS, parseFormat } from '@lkt/image/output-formats';
import {
  choiceFlag,
  Flags,
  type FlagValues,
  grouped,
  listFlag,
  switchFlag,
  valueFlag,
} from './options.ts';

/** The flag for the formats of an image. */
export const formatFlag = grouped('OUTPUT', {
  format: listFlag('FORMAT', 'formats, comma-separated; default: kernel+initrd', {
    char: 'f',
    delimiter: ',',
    description: FORMATS.join(', '),
  }),
});

/** The output flags of `lkt build`. */
export const outputFlags = grouped('OUTPUT', {
  name: valueFlag('[DIR/]NAME', 'prefix of the files; default: the last config'),
  dir: valueFlag('DIR', 'output directory; default: the current one'),
  o: valueFlag('FILE|-', 'file or standard output, for tar or docker', {
    exclusive: ['name', 'dir'],
  }),
  ...formatFlag,
});

/** The flags for the compression of the initrd. */
export const compressorFlags = grouped('OUTPUT', {
  compressor: choiceFlag(COMPRESSORS, 'compressor of the initrd', { default: 'zstd' }),
  'compress-level': Flags.integer({
    summary: 'level; default: 3 (zstd), 4 (gzip), 6 (xz)',
    helpValue: 'LEVEL',
  }),
});

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
  // A name may begin with a directory.
  const path = resolve(cwd, dir ?? '.', name ?? plain);
  const isPlain = name === undefined || /^\.*$/.test(basename(name)) || name.endsWith('/');
  return isPlain
    ? { outDir: resolve(cwd, dir ?? '.'), name: name ?? plain }
    : { outDir: dirname(path), name: basename(path) };
}

export const SBOM_FORMATS = ['spdx', 'cyclonedx'] as const;
type SbomFormat = (typeof SBOM_FORMATS)[number];

/** The flags for the documents beside an image. */
export const sbomFlags = grouped('OUTPUT', {
  sbom: listFlag('spdx|cyclonedx', 'write SBOMs; default: spdx, none with --o', {
    delimiter: ',',
    options: [...SBOM_FORMATS],
  }),
  'no-sbom': switchFlag('write no SBOM', { exclusive: ['sbom', 'sbom-output'] }),
  provenance: switchFlag('write NAME-provenance.json; default without --o', {
    allowNo: true,
  }),
  'sbom-output': valueFlag('PATH', 'path of a copy of the SBOM in the image'),
});

/**
 * Returns whether to write an SBOM, and its path in the image. The flags are LinuxKit's, but an
 * SBOM enters the image only on request.
 */
export function sbomOf(flags: FlagValues<typeof sbomFlags> & { readonly o?: string | undefined }): {
  readonly sbom?: { readonly path?: string; readonly formats?: readonly SbomFormat[] };
} {
  const path = flags['sbom-output'];
  const formats = flags.sbom as readonly SbomFormat[] | undefined;
  const isWanted = formats !== undefined || path !== undefined || flags.o === undefined;
  return flags['no-sbom'] === true || !isWanted ? {} : { sbom: { path, formats } };
}
