import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, type Digest, isDigest, isErrno, LktError, readJson } from '@lkt/core';
import {
  type Descriptor,
  formatPlatform,
  openStore,
  parseReference,
  type Store,
  importFromLayout,
  writeIndex,
  writeLayoutDirectory,
} from '@lkt/oci';
import type { AttestedPackage } from '../attest/attestations.ts';
import type { BuildTools } from './build-options.ts';
import type { KeyedInputs } from './plan-image.ts';
import { indexManifests } from '../pins/check-pin.ts';
import { type BuildResult, writeResult } from './results.ts';
import type { Package } from '../workspace/workspace.ts';

/** File in a layout with the build keys of its images. */
const RECORD = 'lkt.json';

/**
 * Returns the directory name of a package's layout. An image name contains no `+`, so it is unique.
 */
export function layoutName({ name }: Pick<Package, 'name'>): string {
  return name.replaceAll('/', '+');
}

/**
 * Writes a package to a directory: an OCI image layout of its index, and the build keys of its
 * images. A machine with the directory need not build the package. The index does not contain
 * source hashes, so it changes only with the images.
 */
export async function writePackageLayout(
  store: Store,
  layouts: string,
  item: Package,
  { index, images }: Pick<AttestedPackage, 'index' | 'images'>,
): Promise<void> {
  const { domain, path } = parseReference(item.name);
  const record = images.map(({ key, descriptor: { digest }, platform }) => ({
    key,
    digest,
    platform: formatPlatform(platform),
  }));
  await writeLayoutDirectory(store, index, join(layouts, layoutName(item)), {
    reference: { domain, path },
    more: { [RECORD]: `${canonicalJson({ images: record })}\n` },
  });
  await ignoreInGit(layouts);
}

/** Writes a .gitignore, since layouts are not sources. */
async function ignoreInGit(layouts: string): Promise<void> {
  try {
    await writeFile(join(layouts, '.gitignore'), '*\n', { flag: 'wx' });
  } catch (error) {
    if (!isErrno(error, 'EEXIST', 'EACCES', 'EROFS')) throw error;
  }
}

/**
 * Imports the image with this build key from the package's layout, verifying digests. Warns about
 * an invalid layout.
 * @param pins if there are any, the image must match one
 * @returns undefined if there is no valid image
 */
export async function importFromLayouts(
  item: Package,
  { key, platform }: KeyedInputs,
  pins: ReadonlySet<Digest>,
  { store, layouts, reporter, signal }: BuildTools,
): Promise<BuildResult | undefined> {
  if (layouts === undefined) return undefined;
  const dir = join(layouts, layoutName(item));
  try {
    const digest = await digestFor(join(dir, RECORD), key);
    if (digest === undefined) return undefined;
    const taken = await importFromLayout(store, dir, digest, platform, signal);
    const image = { ...taken, platform };
    const [first] = pins;
    if (first !== undefined && !(await matchesPin(pins, image, [store, await openStore(dir)])))
      throw new LktError('PIN_STALE', `its digest is ${image.digest}, but ${first} is pinned`);
    const result = { image, pin: undefined };
    await writeResult(store, key, result);
    return result;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    const text = `the layout of ${item.name} is rejected, so it is built here: ${error.message}`;
    reporter.emit({ kind: 'warning', text });
    return undefined;
  }
}

/** Reports whether a pin names the image itself or an index that contains it. */
async function matchesPin(
  pins: ReadonlySet<Digest>,
  image: Descriptor,
  stores: readonly [Store, Store],
): Promise<boolean> {
  if (pins.has(image.digest)) return true;
  for (const store of stores)
    for (const pin of pins)
      if ((await indexManifests(store, pin)).some(({ digest }) => digest === image.digest))
        return true;
  return pins.has((await writeIndex(stores[0], [image])).digest);
}

async function digestFor(path: string, key: string): Promise<Digest | undefined> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause });
  });
  if (bytes === undefined) return undefined;
  const find = (value: unknown): Digest | undefined => {
    const { images } = value as {
      readonly images: readonly { readonly key?: string; readonly digest?: string }[];
    };
    const digest = images.find((image) => image.key === key)?.digest;
    if (digest === undefined || isDigest(digest)) return digest;
    throw new Error(`"${digest}" is not a digest`);
  };
  return readJson(bytes, find, { code: 'IMAGE_INVALID', what: `${path} is not a build record` });
}
