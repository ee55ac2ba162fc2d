import { type Digest, LktError, mapConcurrent, type Reporter, silentReporter } from '@lkt/core';
import { familiarReference, type Platform, type Store } from '@lkt/oci';
import type { ComposeCache } from './cache.ts';
import type { ImageCaches } from './image-caches.ts';
import { imageReferencesOf, mapReferences, type SystemConfig } from './config/config.ts';
import { errorAt } from './config/fields.ts';
import type { ImageReference } from './config/reference.ts';
import { MANIFEST_PATH, manifestOf } from './initrd/manifest.ts';
import {
  type KnownSboms,
  sbomEntries,
  type SbomFormat,
  sbomIn,
  type SbomOptions,
  type SignedSboms,
  systemSbom,
} from './sbom.ts';
import { CONCURRENCY } from './concurrency.ts';
import { type BootLoader, loadBootLoader } from './tree/boot-loader.ts';
import {
  CONFIG_SEGMENT,
  containerParts,
  memoryPart,
  type PlacedContainer,
} from './tree/containers.ts';
import { fileParts } from './tree/files.ts';
import { initParts } from './tree/init.ts';
import { type Kernel, loadKernel } from './tree/kernel.ts';
import { MemoryEntries } from './tree/memory.ts';
import { mergeParts, type Root } from './tree/merge.ts';
import type { Packing } from './tree/packed-files.ts';
import type { Part } from './tree/part.ts';
import { type ServicePort, servicePorts } from './tree/ports.ts';
import { type SourceImage, SourceImages } from './tree/source-image.ts';
import { volumeParts } from './tree/volumes.ts';

/** Sources of a plan's images, packages and files. */
export interface PlanOptions {
  readonly store: Store;
  readonly platform: Platform;
  /** Must outlive the reading of the plan's contents. */
  readonly caches: ImageCaches;
  /** Resolves `@pkg:DIR` to a package whose image is in the store. */
  readonly resolvePackage?: (reference: string) => Promise<PackageImage>;
  /** The caller has verified the policies of the configs; a config with `trust` fails otherwise. */
  readonly isTrusted?: boolean;
  /** Home directory, for sources that start with `~/`. */
  readonly homeDir?: string;
  /** Make an SBOM of the image, and store it in the image at `path`. */
  readonly sbom?: SbomOptions & {
    readonly known?: KnownSboms;
    readonly signed?: SignedSboms | undefined;
  };
  /** Pack contents for an initrd of zstd archives while unpacking layers. */
  readonly packing?: Packing;
  readonly reporter?: Reporter;
  readonly signal?: AbortSignal;
}

/** The image of a package that a config names by its directory. */
export interface PackageImage {
  readonly digest: Digest;
  /** Full reference. */
  readonly full: string;
}

/** A composed image: every path, and sources of the contents. Nothing is written yet. */
export interface Plan {
  readonly config: SystemConfig;
  /** Parts of the `files` section. */
  readonly files: readonly Part[];
  readonly kernel?: Kernel;
  readonly bootLoader?: BootLoader;
  readonly root: Root;
  /** In the order of the sections. */
  readonly containers: readonly PlacedContainer[];
  /** Before a container starts, nothing changes the files of its image. */
  readonly isSealed: boolean;
  /** All images that it is made from. */
  readonly images: readonly SourceImage[];
  /** Ports on which the services listen. */
  readonly ports: readonly ServicePort[];
  /** Text of the manifest file. */
  readonly manifest: string;
  /** Returns SBOMs by format, in the order of the options. */
  readonly sboms: () => Promise<ReadonlyMap<SbomFormat, Buffer>>;
  /** `cache` is for files made from all images, `contents` for those from one. */
  readonly cache: ComposeCache;
  readonly contents: ComposeCache;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal;
}

/**
 * Finds the images of a config in the store and composes them in memory.
 * @throws LktError PIN_MISSING at a reference without a digest, UNSUPPORTED at an unsupported
 * field, and the errors of finding and merging
 */
export async function planImage(config: SystemConfig, options: PlanOptions): Promise<Plan> {
  const [trust] = config.trust;
  if (trust !== undefined && options.isTrusted !== true)
    throw errorAt(
      'UNSUPPORTED',
      trust.at,
      'the signatures that it requires have not been verified',
    );
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

/** Like `planImage`, with a custom resolver of digests. */
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
  // Starts with the largest, so that none is left over at the end.
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
  // LinuxKit's order, in which later parts override earlier ones.
  const files = await fileParts(config, homeDir);
  const inits = await initParts(config, images);
  const volumes = await volumeParts(config, images);
  const bundles = await containerParts(config, images);
  const parts: Part[] = [
    ...(kernel?.part === undefined ? [] : [kernel.part]),
    ...inits,
    ...volumes,
    ...bundles.parts,
    ...files,
  ];
  const makeSboms = async (): Promise<ReadonlyMap<SbomFormat, Buffer>> => {
    if (wanted === undefined) return new Map();
    const { formats = ['spdx'], known = new Map(), signed } = wanted;
    const sources = { known, signed, reporter };
    const document = await systemSbom(store, { cache, contents }, images.all, sources);
    return new Map(formats.map((one) => [one, sbomIn(one, document)]));
  };
  let making: ReturnType<typeof makeSboms> | undefined;
  const sboms = async (): ReturnType<typeof makeSboms> => (making ??= makeSboms());
  if (wanted?.path !== undefined) {
    const origin = { source: 'lkt.sbom', location: 'sbom' };
    for (const sbom of [...(await sboms()).values()].slice(0, 1))
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
    containers: bundles.containers,
    isSealed: bundles.isSealed,
    images: [...images.all],
    ports: await servicePorts(config, images),
    manifest: manifestOf(root),
    sboms,
    cache,
    contents,
    reporter,
    signal,
  };
}

/** Segment of the manifest, which is made from all other segments. */
export const MANIFEST_SEGMENT = 'manifest';

/** Returns the images whose files are composed, without the kernel. */
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

/** @throws LktError PIN_MISSING; UNSUPPORTED for a package without a resolved image */
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
    fix: `run: lkt pin ${at.file.path}`,
  });
}
