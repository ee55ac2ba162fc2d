import {
  type Component,
  cycloneDxOf,
  describeImage,
  imageComponent,
  mergeSpdx,
  parseSpdx,
  readAttestation,
  prefetchInspection,
  type SpdxDocument,
  spdxOf,
} from '@lkt/attest';
import { canonicalJson, type Digest, LktError, type Reporter, withPrefix } from '@lkt/core';
import { type Descriptor, parentPath, type RawPath, type Store, toRaw } from '@lkt/oci';
import { inspectOptions, spdxSboms, type StoredSbom, storedSboms, withoutBroken } from '@lkt/pkg';
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

/** Returns the signed SBOMs of a platform's image that the policies in force accept. */
export type SignedSboms = (image: SourceImage) => Promise<readonly unknown[]>;

/** `cache` is for documents about all images, `contents` for those about one. */
export interface SbomCaches {
  readonly cache: ComposeCache;
  readonly contents: ComposeCache;
}

/** Subject of the document. It has no digest, since the document may be inside. */
const SYSTEM: Component = { kind: 'image', name: 'system' };

/** Bump when the document changes for unchanged images. */
const SBOM_VERSION = 'sbom 4';

/** SBOMs of a system's images, and the receiver of warnings about them. */
interface SbomSources {
  readonly known: KnownSboms;
  readonly signed?: SignedSboms | undefined;
  readonly reporter: Reporter;
}

/**
 * Returns the SBOM of a system, merged from those of its images. Scans images without one. Cached
 * by images and SBOMs. Warns of malformed SBOMs that others attached.
 * @throws LktError IMAGE_INVALID for another malformed SBOM
 */
export async function systemSbom(
  store: Store,
  { cache, contents }: SbomCaches,
  images: Iterable<SourceImage>,
  sources: SbomSources,
): Promise<Buffer> {
  const found: { readonly image: SourceImage; readonly sboms: readonly StoredSbom[] }[] = [];
  for (const image of images) found.push({ image, sboms: await sbomsOf(store, image, sources) });
  const inputs = found.map(({ image, sboms }) =>
    canonicalJson([
      image.full,
      image.digest,
      ...sboms.map(({ digest, isForeign }) => [digest, isForeign]),
    ]),
  );
  const text = await cache.text([SBOM_VERSION, ...inputs], async () => {
    const documents: SpdxDocument[] = [];
    for (const { image, sboms } of found)
      documents.push(...(await imageSboms(store, contents, image, sboms)));
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
  const sboms = await storedSboms(store, source.digest);
  if (sboms.every(({ isForeign }) => isForeign))
    await prefetchInspection(store, source.image.manifest.layers, signal, source.archives());
}

/** Returns an SBOM of `systemSbom` in a format. */
export function sbomIn(format: SbomFormat, document: Buffer): Buffer {
  return format === 'spdx'
    ? document
    : Buffer.from(canonicalJson(cycloneDxOf(parseSpdx(document))));
}

async function sbomsOf(
  store: Store,
  image: SourceImage,
  { known, signed, reporter }: SbomSources,
): Promise<readonly StoredSbom[]> {
  const own = known.get(image.digest);
  if (own === undefined) {
    const accepted = ((await signed?.(image)) ?? []).filter(isSpdx);
    const stored = await storedSboms(store, image.digest, accepted);
    const warn = (text: string): void => reporter.emit({ kind: 'warning', text });
    return withoutBroken(stored, image.label, parseSpdx, warn);
  }
  const read = async (): Promise<Buffer> => readAttestation(store, own);
  return [{ digest: own.digest, isForeign: false, read }];
}

/** Reports whether a document is in the form that can be merged. */
function isSpdx(document: unknown): boolean {
  return (document as { spdxVersion?: unknown } | null)?.spdxVersion === 'SPDX-2.3';
}

/**
 * Returns the SBOMs of an image: those of builds here and signed ones, else that of its layers, and
 * what SBOMs that others attached add.
 */
async function imageSboms(
  store: Store,
  cache: ComposeCache,
  { image, full, label }: SourceImage,
  sboms: readonly StoredSbom[],
): Promise<readonly SpdxDocument[]> {
  const { digest, platform } = image.descriptor;
  const name = full.replace(/@.*$/, '');
  const inspect = async (): Promise<SpdxDocument> => {
    const text = await cache.text([SBOM_VERSION, 'of', name, digest], async () => {
      const { contents } = await describeImage(store, image, [], await inspectOptions());
      const component = imageComponent(name, digest, platform);
      const parts = { image: component, contents, generatedFrom: [], buildTools: [] };
      return canonicalJson(spdxOf(parts));
    });
    return parseSpdx(Buffer.from(text));
  };
  try {
    const { known, added } = await spdxSboms(sboms, inspect);
    return [...known, ...added];
  } catch (cause) {
    if (!(cause instanceof LktError) || cause.code !== 'IMAGE_INVALID' || sboms.length === 0)
      throw cause;
    throw withPrefix(cause, `the SBOM of ${label} is `);
  }
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
