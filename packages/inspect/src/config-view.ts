import { digestOf } from '@lkt/core';
import { familiarReference, parseReference, readTar } from '@lkt/oci';
import {
  type ConfigFile,
  errorAt,
  ImageCaches,
  type ImageReference,
  imageReferencesOf,
  inputFiles,
  loadConfig,
  type LoadedConfig,
  type PackageImage,
  plainConfig,
  planImage,
  type PlanOptions,
  type SystemConfig,
  tarOf,
} from '@lkt/image';
import type { FileMap } from '@lkt/formats';
import { readFacts } from './facts.ts';
import type { ImageView, UsedImage } from './view.ts';

/** Options of `viewConfig`. */
export interface ConfigViewOptions extends Omit<PlanOptions, 'caches' | 'resolvePackage'> {
  /** Values of variables, like `lkt build --set`. */
  readonly set?: ReadonlyMap<string, string>;
  /** Returns the image of a package in the checkout; undefined if the store does not have it. */
  readonly findPackage: (directory: string, file: ConfigFile) => Promise<PackageImage | undefined>;
}

/**
 * Loads image configs and lists the images, inputs and files of the image that they would produce.
 * Builds and writes nothing.
 *
 * `files()` throws NOT_FOUND if the store lacks an image.
 * @throws LktError like `loadConfig`
 * @example
 * ```ts
 * const view = await viewConfig([file], { store, platform, homeDir, findPackage });
 * for (const { name, places } of view.images) console.log(name, places);
 * ```
 */
export async function viewConfig(
  configs: readonly ConfigFile[],
  options: ConfigViewOptions,
): Promise<ImageView> {
  const loaded = await loadConfig(configs, options);
  const packages = await packagesOf(loaded, options);
  return {
    kind: 'config',
    name: configs.map(({ path }) => path).join(' '),
    outputs: [],
    parameters: { variables: Object.fromEntries(loaded.variables) },
    cmdline: loaded.config.kernel.cmdline ?? '',
    images: usedImages(loaded.config, packages),
    inputs: inputFiles(loaded).map(({ path, text }) => ({
      name: path,
      digest: digestOf(Buffer.from(text)),
    })),
    config: plainConfig(loaded.config),
    files: async (signal) => configFiles(loaded.config, packages, options, signal),
  };
}

async function packagesOf(
  { config, fileOf }: LoadedConfig,
  { findPackage }: ConfigViewOptions,
): Promise<ReadonlyMap<string, PackageImage>> {
  const packages = new Map<string, PackageImage>();
  for (const { text, packageDir, at } of imageReferencesOf(config)) {
    if (packageDir === undefined || packages.has(text)) continue;
    const found = await findPackage(packageDir, fileOf(at));
    if (found !== undefined) packages.set(text, found);
  }
  return packages;
}

async function configFiles(
  config: SystemConfig,
  packages: ReadonlyMap<string, PackageImage>,
  { set: _set, findPackage: _find, ...options }: ConfigViewOptions,
  signal: AbortSignal | undefined,
): Promise<FileMap> {
  await using caches = new ImageCaches(options.store, { signal });
  const plan = await planImage(config, {
    ...options,
    caches,
    // The plan is only listed, never built or booted.
    isTrusted: true,
    resolvePackage: async (text) => {
      const found = packages.get(text);
      if (found !== undefined) return found;
      throw notBuilt(config, text);
    },
  });
  return readFacts(readTar(tarOf(plan)), signal);
}

function notBuilt(config: SystemConfig, text: string): Error {
  const at = imageReferencesOf(config).find((reference) => reference.text === text)?.at;
  if (at === undefined) throw new Error(`${text} is not in the config`);
  return errorAt('NOT_FOUND', at, `${text} is not built`, {
    fix: `run: lkt build ${at.file.path}`,
  });
}

/** Lists each image once, with all parts of the config that name it. */
function usedImages(
  config: SystemConfig,
  packages: ReadonlyMap<string, PackageImage>,
): readonly UsedImage[] {
  const used = new Map<string, UsedImage & { readonly places: string[] }>();
  for (const { place, reference } of imageUses(config)) {
    const image = usedImage(reference, packages);
    const key = `${image.name} ${image.digest}`;
    const known = used.get(key) ?? { ...image, places: [] };
    known.places.push(place);
    used.set(key, known);
  }
  return [...used.values()];
}

function usedImage(
  { text, reference }: ImageReference,
  packages: ReadonlyMap<string, PackageImage>,
): UsedImage {
  if (reference !== undefined) {
    const { digest, ...name } = reference;
    return { name: familiarReference(name), digest };
  }
  const found = packages.get(text);
  if (found === undefined) return { name: text };
  const { digest: _digest, ...name } = parseReference(found.full);
  return { name: familiarReference(name), digest: found.digest };
}

function* imageUses(
  config: SystemConfig,
): Generator<{ readonly place: string; readonly reference: ImageReference }> {
  const { kernel, init, volumes, onboot, onshutdown, services } = config;
  if (kernel.image !== undefined) yield { place: 'kernel', reference: kernel.image };
  for (const reference of init) yield { place: 'init', reference };
  for (const [section, items] of Object.entries({ volumes, onboot, onshutdown, services }))
    for (const { name, image } of items)
      if (image !== undefined) yield { place: `${section} ${name}`, reference: image };
}
