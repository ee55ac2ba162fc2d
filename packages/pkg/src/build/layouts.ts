import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, type Digest, isDigest, isErrno, LktError, type Reporter } from '@lkt/core';
import {
  type Descriptor,
  formatPlatform,
  openStore,
  parseReference,
  type Platform,
  type Store,
  importFromLayout,
  writeIndex,
  writeLayoutDirectory,
} from '@lkt/oci';
import { indexManifests } from '../pins/check-pin.ts';
import { writeResult } from './results.ts';
import type { Package } from '../workspace/workspace.ts';

/** Beside the files of a layout: which build gave its images. */
const RECORD = 'lkt.json';

/** The directory of a package's layout among those of others. A name of an image has no `+`. */
export function layoutName({ name }: Pick<Package, 'name'>): string {
  return name.replaceAll('/', '+');
}

/** An image for one platform, by the key of its build. */
interface KeyedImage {
  readonly key: string;
  readonly descriptor: Descriptor;
  readonly platform: Platform;
}

/**
 * Leaves a package in a directory: an OCI image layout with its index, and the keys of the builds that gave its images.
 * Who has that directory need not build it. The index of the layout says nothing of the sources, so it changes only with
 * the images.
 */
export async function writePackageLayout(
  store: Store,
  layouts: string,
  item: Package,
  { index, images }: { readonly index: Descriptor; readonly images: readonly KeyedImage[] },
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

/** What is built is no source. */
async function ignoreInGit(layouts: string): Promise<void> {
  try {
    await writeFile(join(layouts, '.gitignore'), '*\n', { flag: 'wx' });
  } catch (error) {
    if (!isErrno(error, 'EEXIST', 'EACCES', 'EROFS')) throw error;
  }
}

/**
 * The image that a build with this key gave elsewhere, from the layout of the package: taken into the store, checked by
 * its digests. One that is not what it says it is gives a warning.
 */
export async function builtElsewhere(
  item: Package,
  { key, platform }: Pick<KeyedImage, 'key' | 'platform'>,
  { store, layouts, pins, reporter, signal }: LayoutTools,
): Promise<Descriptor | undefined> {
  if (layouts === undefined) return undefined;
  const dir = join(layouts, layoutName(item));
  try {
    const digest = await digestFor(join(dir, RECORD), key);
    if (digest === undefined) return undefined;
    const taken = await importFromLayout(store, dir, digest, platform, signal);
    const image = { ...taken, platform };
    const known = [...((await pins?.()) ?? [])];
    const [first] = known;
    if (first !== undefined && !(await isOneOf(known, image, store, await openStore(dir))))
      throw new LktError('PIN_STALE', `it has ${image.digest}, and ${first} is pinned`);
    await writeResult(store, key, image);
    return image;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    const text = `the layout of ${item.name} is refused, and it is built here: ${error.message}`;
    reporter.emit({ kind: 'warning', text });
    return undefined;
  }
}

interface LayoutTools {
  readonly store: Store;
  readonly layouts?: string | undefined;
  /** What the package is pinned with; if that is nothing, any image is taken. */
  readonly pins?: () => Promise<ReadonlySet<Digest>>;
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
}

/** Whether a pin is of the image: by its own digest, or by that of an index with it. */
async function isOneOf(
  pins: readonly Digest[],
  image: Descriptor,
  ...stores: readonly Store[]
): Promise<boolean> {
  if (pins.includes(image.digest)) return true;
  for (const store of stores)
    for (const pin of pins)
      if ((await indexManifests(store, pin)).some(({ digest }) => digest === image.digest))
        return true;
  const [store] = stores;
  return store !== undefined && pins.includes((await writeIndex(store, [image])).digest);
}

async function digestFor(path: string, key: string): Promise<Digest | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new LktError('IO_FAILED', `cannot read ${path}`, { cause: error });
  }
  try {
    const { images } = JSON.parse(text) as { readonly images: readonly Partial<KeyedRecord>[] };
    const digest = images.find((image) => image.key === key)?.digest;
    if (digest === undefined || isDigest(digest)) return digest;
  } catch {
    // As one that names no digest.
  }
  throw new LktError('IMAGE_INVALID', `${path} is no record of a build`);
}

interface KeyedRecord {
  readonly key: string;
  readonly digest: string;
}
