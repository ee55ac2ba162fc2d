import { LktError, type SourceFile } from '@lkt/core';
import { UnpackedLayers } from '@lkt/oci';
import { fileChunks } from './cache.ts';
import type { Compressor } from './initrd/compressor.ts';
import { buildInitrd } from './initrd/initrd.ts';
import { tarOf } from './output/tar.ts';
import { type Output, type OutputFile, requireWritable, writeOutputs } from './output/write.ts';
import { type PlanOptions, planImage } from './plan.ts';

export const FORMATS = ['kernel+initrd', 'tar'] as const;

/** A form in which an image is written. */
export type Format = (typeof FORMATS)[number];

export interface ComposeOptions extends Omit<PlanOptions, 'unpacked'> {
  /** Merged from left to right. */
  readonly configs: readonly SourceFile[];
  readonly format: readonly Format[];
  readonly outDir: string;
  /** What the names of the files start with. */
  readonly name: string;
  /** Default: zstd. */
  readonly compressor?: Compressor;
}

export interface ComposedImage {
  readonly files: readonly OutputFile[];
  /** MiB that a machine needs to unpack the initrd; undefined without one. */
  readonly minimumMemory?: number;
}

/**
 * Composes an image from packages that are in the store and writes it: `NAME-kernel`, `NAME-initrd.img`,
 * `NAME-cmdline`, `NAME.tar`, and `NAME-sbom.spdx.json` with `sbom`. The bytes depend on the configs, what they name and the compressor alone. All files are
 * written or none.
 * @throws LktError as `planImage`; CONFIG_INVALID without a kernel where one is needed; DISK_FULL, IO_FAILED
 */
export async function composeImage(options: ComposeOptions): Promise<ComposedImage> {
  const { configs, format, outDir, name, compressor = 'zstd', signal } = options;
  await requireOutput(options);
  await using unpacked = new UnpackedLayers(options.store);
  const plan = await planImage(configs, { ...options, unpacked });
  const outputs: Output[] = [];
  let minimumMemory: number | undefined;
  if (format.includes('kernel+initrd')) {
    const { kernel } = plan;
    if (kernel === undefined) {
      throw new LktError('CONFIG_INVALID', `${configs[0]?.path}: there is no kernel.image`, {
        fix: 'name a kernel, or write the image with --format tar',
      });
    }
    const initrd = await buildInitrd(plan, compressor);
    ({ minimumMemory } = initrd);
    outputs.push(
      { name: `${name}-kernel`, bytes: () => fileChunks(kernel.kernel.path, { reuse: true }) },
      { name: `${name}-initrd.img`, bytes: () => initrd.bytes() },
      { name: `${name}-cmdline`, bytes: () => once(kernel.cmdline) },
    );
  }
  const { sbom } = plan;
  if (sbom !== undefined) {
    outputs.push({ name: `${name}-sbom.spdx.json`, bytes: () => once(sbom) });
  }
  if (format.includes('tar')) outputs.push({ name: `${name}.tar`, bytes: () => tarOf(plan) });
  const files = await writeOutputs(outDir, outputs, signal);
  return { files, ...(minimumMemory === undefined ? {} : { minimumMemory }) };
}

async function* once(text: string | Buffer): AsyncGenerator<Uint8Array> {
  if (text.length > 0) yield Buffer.from(text as string);
}

/**
 * That files can be written where they are asked for, which is worth knowing before hours of building.
 * @throws LktError USAGE_INVALID for their name; IO_FAILED for their directory
 */
export async function requireOutput({
  outDir,
  name,
}: Pick<ComposeOptions, 'outDir' | 'name'>): Promise<void> {
  if (name === '' || /[/\0]/.test(name) || name.startsWith('.')) {
    throw new LktError('USAGE_INVALID', `"${name}" is not a name for the files of an image`, {
      fix: 'give a name without slash that does not start with a dot',
    });
  }
  await requireWritable(outDir);
}
