import {
  type Compression,
  type Compressor,
  COMPRESSORS,
  type ErofsCompressor,
  erofsCompressor,
} from '@lkt/formats';
import { errorAt } from '../config/fields.ts';
import type { Layout } from '../config/layout.ts';
import type { Plan } from '../plan.ts';
import { isRamfs } from './info.ts';

/** What the kernel needs for contents that are packed so. */
const OPTIONS: Readonly<Partial<Record<Compressor, readonly string[]>>> = {
  none: [],
  lz4: ['EROFS_FS_ZIP'],
  gzip: ['EROFS_FS_ZIP', 'EROFS_FS_ZIP_DEFLATE'],
  zstd: ['EROFS_FS_ZIP', 'EROFS_FS_ZIP_ZSTD'],
};

const MOUNTING = ['EROFS_FS', 'EROFS_FS_BACKED_BY_FILE'];

/**
 * That the kernel can mount an erofs that is a file of its initramfs, packed so. It is asked as far as its image has its
 * config.
 * @param hasModules whether there is a list of the modules that it takes
 * @returns what packs it
 * @throws LktError UNSUPPORTED, CONFIG_INVALID
 */
export function requireErofs(
  { kernel }: Plan,
  { at }: Layout,
  compression: Compression,
  hasModules: boolean,
): ErofsCompressor {
  const { compressor } = compression;
  const found = erofsCompressor(compression);
  if (found === undefined)
    throw errorAt('UNSUPPORTED', at, `lkt does not pack an erofs with ${compressor}`, {
      fix: 'use --compressor zstd, gzip, lz4 or none',
    });
  if (!isRamfs(kernel?.cmdline ?? ''))
    throw errorAt('CONFIG_INVALID', at, 'the kernel mounts a file only of a ramfs', {
      fix: 'add rootfstype=ramfs to kernel.cmdline',
    });
  const config = kernel?.config;
  if (config === undefined) return found;
  const where = `/${config.path} of ${kernel?.origin.source}`;
  const isOn = (option: string): boolean => config.options.has(option);
  const missing = [...MOUNTING, ...(OPTIONS[compressor] ?? [])].find((option) => !isOn(option));
  if (missing !== undefined) {
    const others = COMPRESSORS.filter((one) => OPTIONS[one]?.every(isOn) ?? false);
    throw errorAt(
      'UNSUPPORTED',
      at,
      `the kernel cannot mount it: ${where} does not have CONFIG_${missing}`,
      {
        fix: MOUNTING.includes(missing)
          ? 'use lkt/kernel-debian or lkt/linux, or take out "layout"'
          : `use --compressor ${others.join(' or ')}`,
      },
    );
  }
  if (config.modules.has('EROFS_FS') && !hasModules)
    throw errorAt(
      'UNSUPPORTED',
      at,
      `the kernel has erofs as a module: ${where} has CONFIG_EROFS_FS=m, and no /usr/lib/modules/load-root lists it`,
      {
        fix: 'use a newer lkt/kernel-debian, or take out "layout"',
      },
    );
  return found;
}
