import { type Digest, LktError, readJson } from '@lkt/core';
import { type ArchiveEntry, entryName, fullName } from './archive-names.ts';
import { readArchive } from './archive-files.ts';
import { type Descriptor, objectFrom } from '../image/descriptor.ts';
import { DockerArchiveReader } from './docker-archive-reader.ts';
import type { Tag } from '../store/layout-index.ts';
import { isIndex, parseIndex, parseManifestOrIndex } from '../image/manifest.ts';
import { isDistributable, isIndexType, isManifestType } from '../image/media-type.ts';
import type { Store } from '../store/store.ts';
import type { TarLimits } from '../tar/tar-header-reader.ts';

/** Options of an import. */
export interface ImportOptions {
  /** The name of the image, for an archive of one; default: the name in the archive. */
  readonly name?: string | undefined;
  readonly limits?: TarLimits;
  readonly signal?: AbortSignal | undefined;
}

/** The images and referrers of an imported archive. */
export interface ImportResult {
  readonly images: readonly Tag[];
  /** Referrers found in the archive: SBOMs, signatures. */
  readonly referrers: readonly Descriptor[];
}

const MAX_DEPTH = 3;
const MAX_MANIFESTS = 10_000;

/**
 * Imports the images of an archive into the store: an OCI image layout (`oci-archive`, `docker
 * buildx`, `lkt cache export`) or the output of `docker save`, compressed or not.
 *
 * Tags images only after the whole archive was read and every image is complete: each blob matches
 * its digest, each layer its diff id. Blobs of a rejected archive remain as garbage.
 * @throws ARCHIVE_INVALID, IMAGE_INVALID, DIGEST_MISMATCH; NOT_FOUND if a part of an image is
 * missing; USAGE_INVALID if an image has no name, or one name is given for several
 * @example
 * ```ts
 * const { images } = await importImages(store, createReadStream('image.tar'));
 * ```
 */
export async function importImages(
  store: Store,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const files = await readArchive(store, source, options);
  const index = files.json.get('index.json');
  const manifest = files.json.get('manifest.json');
  const layout = files.json.get('oci-layout');
  const entries =
    layout !== undefined && index !== undefined
      ? layoutEntries(layout, index)
      : manifest !== undefined
        ? await new DockerArchiveReader(store, files).images(manifest)
        : undefined;
  if (entries === undefined)
    throw new LktError(
      'ARCHIVE_INVALID',
      'the archive contains no image: neither an OCI layout nor a manifest.json',
    );
  const walk = new Walk(store);
  const named: ArchiveEntry[] = [];
  const referrers: Descriptor[] = [];
  for (const entry of entries) {
    const { isReferrer } = await walk.check(entry.descriptor);
    if (entry.name === undefined && isReferrer) referrers.push(entry.descriptor);
    else named.push(entry);
  }
  const tags = namedAs(named, options.name);
  if (referrers.length > 0) await store.addReferrer(...referrers);
  for (const { reference, descriptor } of tags) await store.tag(reference, descriptor);
  return { images: tags, referrers };
}

function layoutEntries(layout: Buffer, index: Buffer): readonly ArchiveEntry[] {
  const version = readJson(layout, (value) => objectFrom(value, 'it')['imageLayoutVersion'], {
    code: 'ARCHIVE_INVALID',
    what: 'invalid oci-layout in the archive',
    isStrict: true,
  });
  if (typeof version !== 'string' || !/^1\.0\.\d+$/.test(version))
    throw new LktError('UNSUPPORTED', 'the archive is not an OCI layout of version 1.0');
  return parseIndex(index).manifests.map((descriptor) => {
    const { annotations: _names, ...plain } = descriptor;
    return { descriptor: plain, name: entryName(descriptor) };
  });
}

/** Checks that everything an entry refers to is present and consistent. */
class Walk {
  readonly #store: Store;
  readonly #seen = new Map<Digest, boolean>();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Checks a manifest or index, and all that it references.
   * @throws NOT_FOUND, IMAGE_INVALID
   */
  async check(descriptor: Descriptor, depth = MAX_DEPTH): Promise<{ isReferrer: boolean }> {
    const { digest, size, mediaType } = descriptor;
    const known = this.#seen.get(digest);
    if (known !== undefined) return { isReferrer: known };
    if (!isIndexType(mediaType) && !isManifestType(mediaType))
      throw new LktError(
        'IMAGE_INVALID',
        `${digest} has the media type ${mediaType}, which is not an image`,
      );
    await this.#require(descriptor);
    const document = parseManifestOrIndex(await this.#store.readBytes({ digest, size }));
    const isReferrer = document.subject !== undefined;
    this.#seen.set(digest, isReferrer);
    if (this.#seen.size > MAX_MANIFESTS)
      throw new LktError('IMAGE_INVALID', `the archive has more than ${MAX_MANIFESTS} manifests`);
    if (isIndex(document) !== isIndexType(mediaType))
      throw new LktError(
        'IMAGE_INVALID',
        `${digest} does not have its declared media type ${mediaType}`,
      );
    if (!isIndex(document)) {
      for (const blob of [document.config, ...document.layers]) await this.#require(blob);
      return { isReferrer };
    }
    if (depth === 0) throw new LktError('IMAGE_INVALID', `${digest} is nested too deeply`);
    let count = 0;
    for (const item of document.manifests) {
      // An archive may contain only some images of an index.
      if (!(await this.#store.has(item.digest))) continue;
      await this.check(item, depth - 1);
      count += 1;
    }
    if (count === 0 && document.manifests.length > 0)
      throw new LktError('NOT_FOUND', `the archive has no image of the index ${digest}`);
    return { isReferrer };
  }

  async #require({ digest, size, mediaType }: Descriptor): Promise<void> {
    const actual = await this.#store.size(digest);
    if (actual === size) return;
    if (actual === undefined && !isDistributable(mediaType)) return;
    const what = actual === undefined ? 'is missing' : `has ${actual} bytes, not ${size}`;
    throw new LktError('NOT_FOUND', `the archive is incomplete: ${digest} ${what}`);
  }
}

function namedAs(entries: readonly ArchiveEntry[], wanted: string | undefined): readonly Tag[] {
  const digests = new Set(entries.map(({ descriptor }) => descriptor.digest));
  const [first] = entries;
  if (first === undefined) throw new LktError('ARCHIVE_INVALID', 'the archive contains no image');
  if (wanted !== undefined && digests.size > 1)
    throw new LktError(
      'USAGE_INVALID',
      `the archive contains ${digests.size} images, but one name was given`,
      {
        fix: 'leave out the name',
      },
    );
  if (wanted !== undefined) return [tagOf(fullName(wanted), first.descriptor)];
  const tags = entries.map(({ name, descriptor }) => tagOf(name, descriptor));
  requireDistinct(tags);
  return tags;
}

/** Requires one image for each name, of which some programs take the first and some the last. */
function requireDistinct(tags: readonly Tag[]): void {
  const digests = new Map<string, Digest>();
  for (const { reference, descriptor } of tags) {
    const known = digests.get(reference) ?? descriptor.digest;
    if (known !== descriptor.digest)
      throw new LktError(
        'ARCHIVE_INVALID',
        `the archive contains two images with the name ${reference}`,
      );
    digests.set(reference, known);
  }
}

function tagOf(reference: string | undefined, descriptor: Descriptor): Tag {
  if (reference === undefined)
    throw new LktError('USAGE_INVALID', `the archive has no name for ${descriptor.digest}`, {
      fix: 'pass a name: --name registry.example/team/app:1',
    });
  const at = reference.indexOf('@');
  if (at !== -1 && reference.slice(at + 1) !== descriptor.digest)
    throw new LktError('DIGEST_MISMATCH', `the archive lists ${descriptor.digest} as ${reference}`);
  return { reference, descriptor };
}
