import { type Digest, LktError, mapConcurrent, type Reporter, silentReporter } from '@lkt/core';
import { familiarReference, type Platform, type Store } from '@lkt/oci';
import type { ComposeCache } from './cache.ts';
import type { ImageCaches } from './image-caches.ts';
import { imageReferencesOf, mapReferences, type SystemConfig } from './config/config.ts';
import { errorAt } from './config/fields.ts';
import type { ImageReference } from './config/reference.ts';
import { MANIFEST_PATH, manifestOf } from './initrd/manifest.ts';
import { type KnownSboms, sbomEntries, systemSbom } from './sbom.ts';
import { CONCURRENCY } from './concurrency.ts';
import { type BootLoader, loadBootLoader } from './tree/boot-loader.ts';
import { CONFIG_SEGMENT, containerParts, memoryPart } from './tree/containers.ts';
import { fileParts } from './tree/files.ts';
import { initParts } from './tree/init.ts';
import { type Kernel, loadKernel } from './tree/kernel.ts';
import { MemoryEntries } from './tree/memory.ts';
import { mergeParts, type Root } from './tree/merge.ts';
import type { Packing } from './tree/packed-files.ts';
import type { Part } from './tree/part.ts';
import { type SourceImage, SourceImages } from './tree/source-image.ts';
import { volumeParts } from './tree/volumes.ts';

export interface PlanOptions {
  readonly store: Store;
  readonly platform: Platform;
  /** Shared caches. They must not be disposed of before the contents of the plan were read. */
  readonly caches: ImageCaches;
  /** The package that `@pkg:DIR` names; its image must be in the store. */
  readonly resolvePackage?: (reference: string) => Promise<PackageImage>;
  /** Whether all has been checked that `trust` of the configs asks for; without it such a config is refused. */
  readonly isTrusted?: boolean;
  /** What `~/` in a source of `files` stands for. */
  readonly homeDir?: string;
  /** Makes the SBOM of the image, and puts it into the image where a path is given. */
  readonly sbom?: { readonly path?: string; readonly known?: KnownSboms };
  /** Packs the contents of images while they are unpacked, for an initrd that takes them so. */
  readonly packing?: Packing;
  readonly reporter?: Reporter;
  readonly signal?: AbortSignal;
}

/** The image of a package of the same checkout. */
export interface PackageImage {
  readonly digest: Digest;
  /** Its reference in full. */
  readonly full: string;
}

/** A composed image: every path of it, and where the contents are. Nothing is written yet. */
export interface Plan {
  readonly config: SystemConfig;
  /** What the `files` of the config put into it. */
  readonly files: readonly Part[];
  readonly kernel?: Kernel;
  readonly bootLoader?: BootLoader;
  readonly root: Root;
  /** All that it is made from. */
  readonly images: readonly SourceImage[];
  /** The text of the list of all paths. */
  readonly manifest: string;
  /** SPDX 2.3 in JSON, if it was asked for. */
  readonly sbom?: Buffer;
  /** Of what is made of all of it, and of what single images give. */
  readonly cache: ComposeCache;
  readonly contents: ComposeCache;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal;
}

/**
 * Finds the images of a config in the store by digest and puts them together in memory.
 * @throws LktError PIN_MISSING at a reference without a digest, UNSUPPORTED at a field that lkt refuses, and what
 * finding and merging throw
 */
export async function planImage(config: SystemConfig, options: PlanOptions): Promise<Plan> {
  const [trust] = config.trust;
  if (trust !== undefined && options.isTrusted !== true)
    throw errorAt('UNSUPPORTED', trust.at, 'nobody has checked the signatures that it asks for');
  const packages = new Map<string, PackageImage>();
  for (const { text, packageDir } of imageReferencesOf(config)) {
    const { resolvePackage } = options;
    if (packageDir === undefined || resolvePackage === undefined || packages.has(text)) continue;
    packages.set(text, await resolvePackage(text));
  }
  const named = mapReferences(config, (reference) => ({
    ...reference,
    full: packages.get(reference.text)?.full ?? reference.full,
  }));
  return planConfig(named, options, async (reference) => pinnedDigest(reference, packages));
}

/** As `planImage`, with another way to find digests. */
export async function planConfig(
  config: SystemConfig,
  options: PlanOptions,
  resolve: (reference: ImageReference) => Promise<Digest>,
): Promise<Plan> {
  const { store, caches, platform, homeDir, reporter = silentReporter, signal } = options;
  const { sbom: wanted, packing } = options;
  const { segments: cache, contents } = caches;
  const images = new SourceImages(store, caches, platform, resolve, packing);
  const trees = await mapConcurrent(
    treesOf(config),
    async (reference) => {
      signal?.throwIfAborted();
      return { reference, size: await images.size(reference) };
    },
    { concurrency: CONCURRENCY },
  );
  // The largest begin first, so that none is left over at the end.
  const [kernel] = await mapConcurrent(
    [
      async () =>
        loadKernel(config.kernel, {
          cache: contents,
          images,
          packing,
        }),
      ...trees
        .toSorted((a, b) => b.size - a.size)
        .map(({ reference }) => async () => {
          signal?.throwIfAborted();
          await images.prepare(reference);
          return undefined;
        }),
    ],
    async (load) => load(),
    { concurrency: CONCURRENCY },
  );
  signal?.throwIfAborted();
  const bootLoader =
    config.bootLoader === undefined ? undefined : await loadBootLoader(config.bootLoader, images);
  // The order of LinuxKit's tree, in which later things are put over earlier ones.
  const files = await fileParts(config, homeDir);
  const parts: Part[] = [
    ...(kernel?.part === undefined ? [] : [kernel.part]),
    ...(await initParts(config, images)),
    ...(await volumeParts(config, images)),
    ...(await containerParts(config, images)),
    ...files,
  ];
  const sbom =
    wanted === undefined
      ? undefined
      : await systemSbom(store, { cache, contents }, images.all, wanted.known ?? new Map());
  if (sbom !== undefined && wanted?.path !== undefined) {
    const origin = { source: 'lkt.sbom', location: 'sbom' };
    parts.push(memoryPart(sbomEntries(wanted.path, sbom), origin, 'the SBOM', CONFIG_SEGMENT));
  }
  parts.push(
    memoryPart(
      new MemoryEntries().file(MANIFEST_PATH, ''),
      { source: 'lkt.manifest', location: 'manifest' },
      'the manifest',
      MANIFEST_SEGMENT,
    ),
  );
  const root = mergeParts(parts);
  if (root.entries.get(MANIFEST_PATH)?.type !== 'file') {
    throw new LktError(
      'TREE_CONFLICT',
      `/${MANIFEST_PATH}, where lkt keeps its manifest, is reached through a symbolic link`,
    );
  }
  return {
    config,
    files,
    kernel,
    bootLoader,
    root,
    images: [...images.all],
    manifest: manifestOf(root),
    sbom,
    cache,
    contents,
    reporter,
    signal,
  };
}

/** The manifest is made of all the rest, so it is no segment like the others. */
export const MANIFEST_SEGMENT = 'manifest';

/** The images of which the composed one has the files, but for the kernel. */
export function treesOf({
  init,
  volumes,
  onboot,
  onshutdown,
  services,
}: SystemConfig): readonly ImageReference[] {
  const trees = volumes.flatMap(({ format, image }) =>
    format === 'oci' || image === undefined ? [] : [image],
  );
  return [...init, ...trees, ...[...onboot, ...onshutdown, ...services].map(({ image }) => image)];
}

/** @throws LktError PIN_MISSING; UNSUPPORTED for a package that is not among those */
export function pinnedDigest(
  { reference, text, at }: ImageReference,
  packages: ReadonlyMap<string, PackageImage>,
): Digest {
  if (reference?.digest !== undefined) return reference.digest;
  if (reference === undefined) {
    const found = packages.get(text);
    if (found !== undefined) return found.digest;
    throw errorAt('UNSUPPORTED', at, `"${text}" names a package, and there is no workspace`);
  }
  throw errorAt('PIN_MISSING', at, `${familiarReference(reference)} has no digest`, {
    fix: `lkt pin ${at.file.path}`,
  });
}
