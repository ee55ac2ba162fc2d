import { join } from 'node:path';
import { LktError } from '@lkt/core';
import { openStore, singleChunk, UnpackedLayers } from '@lkt/oci';
import { startAudit } from './audit/audit-hook.ts';
import { DamagedFile } from './cache.ts';
import type { SystemConfig } from './config/config.ts';
import { withBootLoader } from './config/boot-loader.ts';
import { loadConfig, type LoadedConfig } from './config/load-config.ts';
import { chooseCompression, type Compression, type Uki } from '@lkt/formats';
import { buildInitrd, type Initrd, packingFor } from './initrd/initrd.ts';
import { bootOutputs } from './output/boot-outputs.ts';
import { containerArchive, containerImage } from './output/container.ts';
import { type DiskOptions, diskOutputs } from './output/disks.ts';
import { INITRD_FORMATS, isDiskFormat } from './output/formats.ts';
import { type NotedOutput, rootDisks } from './output/root-disk.ts';
import { tarOf } from './output/tar.ts';
import {
  type Output,
  requireWritable,
  small,
  StagedOutputs,
  writeOutputs,
} from './output/write.ts';
import { type Plan, planImage } from './plan.ts';
import { imageStatement } from './provenance.ts';
import { systemSbom } from './sbom.ts';
import type { ComposeOptions } from './compose-options.ts';
import type { ComposedImage } from './built-image.ts';
import type { EarlyComposing } from './early-composing.ts';

/**
 * Composes an image from packages that are in the store and writes it: `NAME-kernel`, `NAME-initrd.img`,
 * `NAME-cmdline`, `NAME-initrd.tar`, `NAME-squashfs.img`, `NAME-erofs.img`, `NAME.iso`, `NAME-squashfs-cmdline`, `NAME-erofs-cmdline`, `NAME-iso-cmdline`, `NAME.tar`, `NAME.docker`, `NAME-oci.tar`, `NAME-sbom.spdx.json` with `sbom`, and `NAME-provenance.json` with `provenance`. The bytes depend on the configs, what they name and the compressor alone. All files are
 * written or none.
 * @throws LktError as `planImage`; USAGE_INVALID for a level that the compressor has not; TOOL_MISSING without xz; CONFIG_INVALID without a kernel where one is needed; DISK_FULL, IO_FAILED
 */
export async function composeImage(options: ComposeOptions): Promise<ComposedImage> {
  const loaded = await loadConfig(options.configs, options);
  return composeConfig(withFormats(loaded, options).config, options);
}

/** The configs with what the formats need besides. */
export function withFormats(
  loaded: LoadedConfig,
  { format, bootLoader }: Pick<ComposeOptions, 'format' | 'bootLoader'>,
): LoadedConfig {
  return format.some(isDiskFormat) ? withBootLoader(loaded, bootLoader) : loaded;
}

/**
 * The same, of configs that were read before.
 * @param early what has been begun before
 */
export async function composeConfig(
  config: SystemConfig,
  options: ComposeOptions,
  early?: EarlyComposing,
): Promise<ComposedImage> {
  await requireOutput(options);
  const compression = await chooseCompression(options.compressor ?? 'zstd', options.level);
  for (;;) {
    try {
      return await compose(config, options, compression, early);
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error;
    }
  }
}

async function compose(
  config: SystemConfig,
  options: ComposeOptions,
  compression: Compression,
  begun: EarlyComposing | undefined,
): Promise<ComposedImage> {
  const { configs, format, outDir, name, signal } = options;
  await using own = new UnpackedLayers(options.store);
  const early = await begun?.image();
  const unpacked = begun?.unpacked ?? own;
  const packing = packingFor(config, format, compression);
  const plan = early?.plan ?? (await planImage(config, { ...options, unpacked, ...packing }));
  const auditing = startAudit(plan.images, options.audit);
  // It is awaited when all is written, and the first error is that of the build.
  auditing.catch(() => undefined);
  if (options.audit?.isGate === true) await auditing;
  const sbom = await sbomOf(plan, options);
  const outputs: NotedOutput[] = [];
  let initrd: Initrd | undefined;
  let uki: Uki | undefined;
  if (format.some((one) => one.includes('kernel') || isDiskFormat(one))) {
    const { kernel } = plan;
    if (kernel === undefined) {
      throw new LktError('CONFIG_INVALID', `${configs[0]?.path}: there is no kernel.image`, {
        fix: 'name a kernel, or write the image with --format tar',
      });
    }
    if (INITRD_FORMATS.some((known) => format.includes(known)))
      initrd = early?.initrd ?? (await buildInitrd(plan, compression));
    outputs.push(
      ...bootOutputs(plan, options, initrd),
      ...(await rootDisks(plan, kernel, options, compression)),
    );
    if (initrd !== undefined) {
      const disks = await diskOutputs(plan, kernel, initrd, diskOptions(options));
      outputs.push(...disks.outputs);
      uki = disks.uki;
    }
  }
  if (sbom !== undefined) outputs.push(small(`${name}-sbom.spdx.json`, sbom));
  if (format.includes('tar')) outputs.push({ name: `${name}.tar`, bytes: () => tarOf(plan) });
  await using containers = await containerOutputs(plan, options);
  outputs.push(...containers.outputs);
  if (options.provenance !== undefined) {
    const statement = imageStatement(plan, options, options.provenance, compression);
    outputs.push({
      name: `${name}-provenance.json`,
      bytes: (written) => singleChunk(statement(written)),
    });
  }
  requireOwnNames(outputs);
  const known = plan.cache.knownFiles;
  await using staged = new StagedOutputs({ dir: outDir, known, signal });
  const files = await writeOutputs(begun?.outputs ?? staged, outputs);
  for (const [index, file] of files.entries()) await outputs[index]?.note?.(file);
  const audit = await auditing;
  const result = { files, audit };
  if (initrd === undefined) return result;
  const written = files.find(({ path }) => path === join(outDir, `${name}-initrd.img`));
  if (initrd.digest === undefined && written !== undefined) await initrd.note(written.digest);
  const { minimumMemory } = initrd;
  return { ...result, minimumMemory, pcr11: uki?.pcr11 === undefined ? undefined : uki.pcr11 };
}

/** What was composed early has none. */
async function sbomOf(plan: Plan, { store, sbom }: ComposeOptions): Promise<Buffer | undefined> {
  if (plan.sbom !== undefined || sbom === undefined) return plan.sbom;
  return systemSbom(store, plan, plan.images, sbom.known ?? new Map());
}

function diskOptions({ name, format, diskSize, efiSigner }: ComposeOptions): DiskOptions {
  return {
    name,
    formats: format,
    size: diskSize,
    signer: efiSigner,
  };
}

/** Some formats have LinuxKit's names, which others have too. */
function requireOwnNames(outputs: readonly Output[]): void {
  const seen = new Set<string>();
  for (const { name } of outputs) {
    if (seen.has(name))
      throw new LktError('USAGE_INVALID', `two of the formats write ${name}`, {
        fix: 'write them one after the other, with another --name or --dir',
      });
    seen.add(name);
  }
}

/** The image of containers waits in a store of its own, which is gone when it was written. */
async function containerOutputs(
  plan: Plan,
  { format, name, platform, store }: ComposeOptions,
): Promise<AsyncDisposable & { readonly outputs: readonly Output[] }> {
  const wanted = (['docker', 'oci'] as const).filter((known) => format.includes(known));
  await using stack = new AsyncDisposableStack();
  if (wanted.length === 0) return { outputs: [], [Symbol.asyncDispose]: async () => {} };
  const temp = stack.use(await store.tempDir());
  const own = await openStore(join(temp.path, 'image'));
  const image = await containerImage(plan, own, platform);
  const kept = stack.move();
  return {
    outputs: wanted.map((kind) => ({
      name: kind === 'docker' ? `${name}.docker` : `${name}-oci.tar`,
      bytes: () => containerArchive(own, image, kind, name),
    })),
    [Symbol.asyncDispose]: async () => kept.disposeAsync(),
  };
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
