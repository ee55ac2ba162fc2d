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

/** Kernel options needed to read each compression. */
const OPTIONS: Readonly<Partial<Record<Compressor, readonly string[]>>> = {
  none: [],
  lz4: ['EROFS_FS_ZIP'],
  gzip: ['EROFS_FS_ZIP', 'EROFS_FS_ZIP_DEFLATE'],
  zstd: ['EROFS_FS_ZIP', 'EROFS_FS_ZIP_ZSTD'],
};

const MOUNTING = ['EROFS_FS', 'EROFS_FS_BACKED_BY_FILE'];

/**
 * Checks that the kernel can mount a compressed erofs file of its initramfs. Skips options if the
 * kernel image has no config.
 * @param hasModules whether the image lists the modules to load
 * @returns the compressor
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
    throw errorAt('UNSUPPORTED', at, `lkt cannot compress an erofs with ${compressor}`, {
      fix: 'use --compressor zstd, gzip, lz4 or none',
    });
  if (!isRamfs(kernel?.cmdline ?? ''))
    throw errorAt('CONFIG_INVALID', at, 'the kernel can mount a file only from a ramfs', {
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
      `the kernel cannot mount it: ${where} lacks CONFIG_${missing}`,
      {
        fix: MOUNTING.includes(missing)
          ? 'use lkt/kernel-debian or lkt/linux, or remove "layout"'
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
        fix: 'use a newer lkt/kernel-debian, or remove "layout"',
      },
    );
  return found;
}
