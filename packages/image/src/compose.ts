import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { openStore } from '@lkt/oci';
import { chooseCompression, type Compression, type Uki } from '@lkt/formats';
import { DamagedFile } from './cache.ts';
import type { SystemConfig } from './config/config.ts';
import { withBootLoader } from './config/boot-loader.ts';
import { loadConfig, type LoadedConfig } from './config/load-config.ts';
import { buildInitrd, type Initrd, packingFor } from './initrd/initrd.ts';
import { bootOutputs } from './output/boot-outputs.ts';
import { containerArchive, containerImage } from './output/container.ts';
import { diskOutputs } from './output/disks.ts';
import { INITRD_FORMATS, isDiskFormat } from './output/formats.ts';
import { rootDisks } from './output/root-disk.ts';
import { tarOf } from './output/tar.ts';
import {
  type Output,
  type OutputFile,
  requireWritable,
  small,
  writeOutputs,
} from './output/write.ts';
import { type Plan, planImage } from './plan.ts';
import { imageStatement } from './provenance.ts';
import { SBOM_SUFFIXES } from './sbom.ts';
import type { ComposeOptions } from './compose-options.ts';
import type { ComposedImage } from './built-image.ts';
import { checkContainers } from './tree/check-containers.ts';
import { allowancesOf } from './tree/allowances.ts';
import { hiddenFiles, missingKeys } from './tree/files.ts';
import { ImageCaches } from './image-caches.ts';

/**
 * Composes an image from packages in the store and writes its files, all or none. docs/formats.md
 * lists their names. The bytes depend only on the configs, the files and images that these name,
 * the formats and the compressor.
 * @throws LktError as `planImage`; USAGE_INVALID for an unsupported level; TOOL_MISSING without xz;
 * CONFIG_INVALID if a format needs a kernel and the config names none; DISK_FULL, IO_FAILED
 */
export async function composeImage(options: ComposeOptions): Promise<ComposedImage> {
  const loaded = await loadConfig(options.configs, options);
  const compression = await checkOutput(options);
  await using caches = new ImageCaches(options.store, options);
  return await composeConfig(withFormats(loaded, options).config, options, compression, caches);
}

/** Returns the configs with the boot loader image that disk formats need. */
export function withFormats(
  loaded: LoadedConfig,
  { format, bootLoader }: Pick<ComposeOptions, 'format' | 'bootLoader'>,
): LoadedConfig {
  return format.some(isDiskFormat) ? withBootLoader(loaded, bootLoader) : loaded;
}

/**
 * Plans, composes and writes an image from merged configs. Starts again if a file of the cache
 * turns out to be damaged.
 * @param caches must outlive the call
 */
export async function composeConfig(
  config: SystemConfig,
  options: ComposeOptions,
  compression: Compression,
  caches: ImageCaches,
): Promise<ComposedImage> {
  const { outDir, signal } = options;
  const packing = packingFor(config, options.format, compression);
  for (;;) {
    try {
      const plan = await planImage(config, { ...options, caches, ...packing });
      const unusable = checkContainers(plan);
      const hidden = plan.isSealed ? hiddenFiles(config) : [];
      await using stack = new AsyncDisposableStack();
      const auditing = options.audit?.run(plan.images);
      // Awaited after writing, so that an error of the build comes first.
      auditing?.catch(() => undefined);
      if (options.audit?.isGate === true) await auditing;
      const outputs = await planOutputs(plan, options, compression, stack);
      const known = plan.cache.knownFiles;
      const files = await writeOutputs(
        { dir: outDir, known, signal },
        outputs.files,
        outputs.provenance,
      );
      const { initrd, uki } = outputs;
      const audit = await auditing;
      return {
        files,
        audit,
        minimumMemory: initrd?.minimumMemory,
        pcr11: uki?.pcr11,
        warnings: [...missingKeys(config, plan.root), ...unusable, ...hidden],
        allowances: await allowancesOf(plan.root),
        services: config.services.map(({ name }) => name),
        ports: plan.ports,
      };
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error;
      caches.trees.clear();
    }
  }
}

/** The files of an image before they are written. */
interface ImageOutputs {
  readonly files: readonly Output[];
  /** Returns the provenance of the other files. */
  readonly provenance?: ((written: readonly OutputFile[]) => Output) | undefined;
  readonly initrd: Initrd | undefined;
  readonly uki: Uki | undefined;
}

/** Makes the segments and file systems that the cache lacks, and lists the files of an image. */
async function planOutputs(
  plan: Plan,
  options: ComposeOptions,
  compression: Compression,
  stack: AsyncDisposableStack,
): Promise<ImageOutputs> {
  const { name, format } = options;
  const booting = bootFiles(plan, options, compression);
  // Merged while other threads compress.
  const merging = plan.sboms();
  merging.catch(() => undefined);
  const boot = await booting;
  const files = [...boot.files];
  for (const [one, sbom] of await merging) files.push(small(`${name}-${SBOM_SUFFIXES[one]}`, sbom));
  if (format.includes('tar')) files.push({ name: `${name}.tar`, bytes: () => tarOf(plan) });
  files.push(...(await containerOutputs(plan, options, stack)));
  requireOwnNames(files);
  if (options.provenance === undefined) return { ...boot, files };
  const statement = imageStatement(plan, options, options.provenance, compression);
  const provenance: ImageOutputs['provenance'] = (written) =>
    small(`${name}-provenance.json`, statement(written));
  return { ...boot, files, provenance };
}

/** Returns the files that boot the image: kernel, initrd, command line and disks. */
async function bootFiles(
  plan: Plan,
  options: ComposeOptions,
  compression: Compression,
): Promise<ImageOutputs> {
  const { configs, format } = options;
  if (!format.some((one) => one.includes('kernel') || isDiskFormat(one)))
    return { files: [], initrd: undefined, uki: undefined };
  const { kernel } = plan;
  if (kernel === undefined) {
    throw new LktError('CONFIG_INVALID', `${configs[0]?.path}: there is no kernel.image`, {
      fix: 'name a kernel, or write the image with --format tar',
    });
  }
  const initrd = INITRD_FORMATS.some((known) => format.includes(known))
    ? await buildInitrd(plan, compression)
    : undefined;
  const files: Output[] = [
    ...bootOutputs(plan, options, initrd),
    ...(await rootDisks(plan, kernel, options, compression)),
  ];
  if (initrd === undefined) return { files, initrd, uki: undefined };
  const disks = await diskOutputs(plan, kernel, initrd, options);
  return { files: [...files, ...disks.outputs], initrd, uki: disks.uki };
}

/** Some LinuxKit file names are shared by two formats. */
function requireOwnNames(outputs: readonly Output[]): void {
  const seen = new Set<string>();
  for (const { name } of outputs) {
    if (seen.has(name))
      throw new LktError('USAGE_INVALID', `two formats write ${name}`, {
        fix: 'write them in two builds with different --name or --dir',
      });
    seen.add(name);
  }
}

/** Returns the container archives, staged in a temporary store until disposal. */
async function containerOutputs(
  plan: Plan,
  { format, name, platform, store }: ComposeOptions,
  stack: AsyncDisposableStack,
): Promise<readonly Output[]> {
  const wanted = (['docker', 'oci'] as const).filter((known) => format.includes(known));
  if (wanted.length === 0) return [];
  const temp = stack.use(await store.tempDir());
  const own = await openStore(join(temp.path, 'image'));
  const image = await containerImage(plan, own, platform);
  return wanted.map((kind) => ({
    name: kind === 'docker' ? `${name}.docker` : `${name}-oci.tar`,
    bytes: () => containerArchive(own, image, kind, name),
  }));
}

/**
 * Checks before a long build that its files can be written, and returns how to compress them.
 * @throws LktError USAGE_INVALID for the name or the level; IO_FAILED for the directory;
 * TOOL_MISSING without xz
 */
export async function checkOutput({
  outDir,
  name,
  compressor = 'zstd',
  level,
}: Pick<ComposeOptions, 'outDir' | 'name' | 'compressor' | 'level'>): Promise<Compression> {
  if (name === '' || /[/\0]/.test(name) || name.startsWith('.')) {
    throw new LktError('USAGE_INVALID', `"${name}" is not a name for the files of an image`, {
      fix: 'give a name without slash that does not start with a dot',
    });
  }
  await requireWritable(outDir);
  return await chooseCompression(compressor, level);
}
