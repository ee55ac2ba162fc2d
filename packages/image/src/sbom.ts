import {
  type Component,
  cycloneDxOf,
  describeImage,
  findAttestations,
  imageComponent,
  mergeSpdx,
  parseSpdx,
  prefetchInspection,
  readSboms,
  type SpdxDocument,
  spdxOf,
} from '@lkt/attest';
import { canonicalJson, type Digest, LktError, withPrefix } from '@lkt/core';
import { type Descriptor, parentPath, type RawPath, type Store, toRaw } from '@lkt/oci';
import { inspectOptions } from '@lkt/pkg';
import type { ComposeCache } from './cache.ts';
import { MemoryEntries } from './tree/memory.ts';
import type { SourceImage } from './tree/source-image.ts';

/** Formats of an SBOM, with the end of the file's name. */
export const SBOM_SUFFIXES = { spdx: 'sbom.spdx.json', cyclonedx: 'sbom.cdx.json' } as const;

export type SbomFormat = keyof typeof SBOM_SUFFIXES;

/** Formats and place of the SBOM of a system. */
export interface SbomOptions {
  /** Path of a copy in the image, in the first of the formats. */
  readonly path?: string;
  /** Default: SPDX. */
  readonly formats?: readonly SbomFormat[];
}

/** SBOMs of this build by image digest. */
export type KnownSboms = ReadonlyMap<Digest, Descriptor>;

/** `cache` is for documents about all images, `contents` for those about one. */
export interface SbomCaches {
  readonly cache: ComposeCache;
  readonly contents: ComposeCache;
}

/** Subject of the document. It has no digest, since the document may be inside. */
const SYSTEM: Component = { kind: 'image', name: 'system' };

/** Bump when the document changes for unchanged images. */
const SBOM_VERSION = 'sbom 4';

/**
 * Returns the SBOM of a system, merged from those of its images. Scans images without one. Cached
 * by images and SBOMs.
 * @throws LktError IMAGE_INVALID for a malformed SBOM
 */
export async function systemSbom(
  store: Store,
  { cache, contents }: SbomCaches,
  images: Iterable<SourceImage>,
  known: KnownSboms,
): Promise<Buffer> {
  const found: { readonly image: SourceImage; readonly referrers: readonly Descriptor[] }[] = [];
  for (const image of images) {
    const own = known.get(image.digest);
    const referrers = own ? [own] : await findAttestations(store, image.digest, 'sbom');
    found.push({ image, referrers });
  }
  const inputs = found.map(({ image, referrers }) =>
    canonicalJson([image.full, image.digest, ...referrers.map(({ digest }) => digest)]),
  );
  const text = await cache.text([SBOM_VERSION, ...inputs], async () => {
    const documents: SpdxDocument[] = [];
    for (const { image, referrers } of found)
      documents.push(...(await imageSboms(store, contents, image, referrers)));
    return canonicalJson(mergeSpdx(SYSTEM, documents));
  });
  return Buffer.from(text);
}

/** Inspects the layers of an image ahead of `systemSbom`, unless the store has its SBOM. */
export async function prepareSbom(
  store: Store,
  source: SourceImage,
  signal: AbortSignal,
): Promise<void> {
  const [referrer] = await findAttestations(store, source.digest, 'sbom');
  if (referrer === undefined)
    await prefetchInspection(store, source.image.manifest.layers, signal, source.archives());
}

/** Returns an SBOM of `systemSbom` in a format. */
export function sbomIn(format: SbomFormat, document: Buffer): Buffer {
  return format === 'spdx'
    ? document
    : Buffer.from(canonicalJson(cycloneDxOf(parseSpdx(document))));
}

/**
 * Returns every SBOM of an image that the store has, so that one that others attached hides no
 * package; without any, that of its layers.
 */
async function imageSboms(
  store: Store,
  cache: ComposeCache,
  { image, full, label }: SourceImage,
  referrers: readonly Descriptor[],
): Promise<readonly SpdxDocument[]> {
  const { digest, platform } = image.descriptor;
  if (referrers.length > 0) {
    try {
      return await readSboms(store, referrers);
    } catch (cause) {
      if (!(cause instanceof LktError) || cause.code !== 'IMAGE_INVALID') throw cause;
      throw withPrefix(cause, `the SBOM of ${label} is `);
    }
  }
  const name = full.replace(/@.*$/, '');
  const text = await cache.text([SBOM_VERSION, 'of', name, digest], async () => {
    const { contents } = await describeImage(store, image, [], await inspectOptions());
    const component = imageComponent(name, digest, platform);
    return canonicalJson(spdxOf({ image: component, contents, generatedFrom: [], buildTools: [] }));
  });
  return [parseSpdx(Buffer.from(text))];
}

/** Returns entries for a document in an image and its parent directories. */
export function sbomEntries(path: string, document: Buffer): MemoryEntries {
  const at = sbomPath(path);
  const entries = new MemoryEntries();
  const parents: RawPath[] = [];
  for (let parent = parentPath(at); parent !== ''; parent = parentPath(parent))
    parents.unshift(parent);
  for (const parent of parents) entries.weakDirectory(parent);
  return entries.file(at, document, 0o444);
}

/**
 * Returns the path of a document in an image; a leading slash is optional, as in LinuxKit.
 * @throws LktError USAGE_INVALID
 */
export function sbomPath(path: string): RawPath {
  const clean = path.replace(/^\/+/, '');
  if (clean !== '' && clean.split('/').every((part) => !['', '.', '..'].includes(part)))
    return toRaw(clean);
  throw new LktError('USAGE_INVALID', `"${path}" is not a path of a file in an image`, {
    fix: 'write it as /usr/share/sbom.spdx.json',
  });
}
