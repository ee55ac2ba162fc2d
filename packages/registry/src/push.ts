import { LktError, mapConcurrent, type Reporter, reportStep, type Semaphore } from '@lkt/core';
import {
  type Descriptor,
  familiarReference,
  formatPlatform,
  formatReference,
  type ImageManifest,
  isDistributable,
  isIndexType,
  isManifestType,
  type Reference,
  type Store,
} from '@lkt/oci';
import { type BlobSources, blobsOf } from './blob-sources.ts';
import { headManifest, type Manifest, parseDocument, putManifest } from './manifests.ts';
import { recordReferrer } from './referrers.ts';
import type { ManifestKey, Remote } from './remote.ts';
import type { UploadSource } from './send-blob.ts';
import { uploadBlob, type UploadOptions, type UploadResult } from './upload.ts';

/** Options of a push. */
export interface PushOptions {
  /** The name in progress events; default: the reference. */
  readonly title?: string;
  /** Report no step: the push is a part of one of the caller. */
  readonly isPart?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** The result of a push. */
export interface PushResult {
  readonly descriptor: Descriptor;
  /** Bytes of uploaded blobs. */
  readonly bytes: number;
  /** Whether anything was uploaded, mounted or tagged. */
  readonly changed: boolean;
}

/** The environment of a push. */
export interface PushContext {
  readonly remote: Remote;
  readonly limit: Semaphore;
  readonly chunkSize: number | undefined;
  readonly reporter: Reporter;
  readonly sources: BlobSources;
}

/** Maximum nesting of indexes. */
const MAX_DEPTH = 3;

/**
 * The push of an image of the store. Content precedes the manifests that refer to it, and the tag
 * comes last, so an interrupted push leaves no incomplete image, and a second push resumes.
 */
export class Push {
  readonly #context: PushContext;
  readonly #store: Store;
  readonly #reference: Reference;
  readonly #options: PushOptions;
  readonly #blobs = new Map<string, Descriptor>();
  /** Manifests that the registry lacks, children first. */
  readonly #manifests: Manifest[] = [];
  /** Digests and depths that were collected. */
  readonly #seen = new Set<string>();
  #bytes = 0;
  #changed = false;

  constructor(context: PushContext, store: Store, reference: Reference, options: PushOptions) {
    this.#context = context;
    this.#store = store;
    this.#reference = reference;
    this.#options = options;
  }

  async run(descriptor: Descriptor): Promise<PushResult> {
    const { title = familiarReference(this.#reference) } = this.#options;
    const name = formatReference(this.#reference);
    if (this.#reference.digest !== undefined && this.#reference.digest !== descriptor.digest)
      throw new LktError('DIGEST_MISMATCH', `cannot push ${descriptor.digest} as ${name}`);
    return reportStep(
      this.#context.reporter,
      { id: `push ${name}`, title: `push ${title}` },
      async () => this.#push(descriptor, `push ${name}`),
      ({ changed }) => !changed,
    );
  }

  async #push(descriptor: Descriptor, id: string): Promise<PushResult> {
    const { tag } = this.#reference;
    await this.#collect(descriptor, MAX_DEPTH);
    await this.#pushBlobs(id);
    for (const manifest of this.#manifests) await this.#put(manifest);
    if (tag !== undefined) {
      const before = await headManifest(this.#context.remote, { tag });
      if (before?.digest !== descriptor.digest)
        await this.#put(await this.#read(descriptor), { tag });
    }
    return { descriptor, bytes: this.#bytes, changed: this.#changed };
  }

  async #collect(descriptor: Descriptor, depth: number): Promise<void> {
    const { digest } = descriptor;
    const { remote } = this.#context;
    const key = `${digest} ${depth}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    // A registry accepts a manifest only after its content.
    const exists = (await headManifest(remote, { digest })) !== undefined;
    if (exists && !(await this.#store.has(digest))) return;
    const manifest = await this.#read(descriptor);
    const document = parseDocument(manifest, digest);
    if (exists) {
      this.#context.sources.add(remote.repository, ...(await blobsOf(this.#store, digest)));
      // A previous push may have stopped before recording the referrer.
      if (document.subject !== undefined) this.#manifests.push(manifest);
      return;
    }
    if ('manifests' in document) {
      if (depth === 0) throw new LktError('IMAGE_INVALID', `${digest} is nested too deeply`);
      for (const item of document.manifests)
        if (isIndexType(item.mediaType) || isManifestType(item.mediaType))
          await this.#collect(item, depth - 1);
    } else {
      this.#collectBlobs(document);
    }
    this.#manifests.push(manifest);
  }

  #collectBlobs({ config, layers }: ImageManifest): void {
    for (const blob of [config, ...layers])
      if (isDistributable(blob.mediaType)) this.#blobs.set(blob.digest, blob);
  }

  async #read(descriptor: Descriptor): Promise<Manifest> {
    try {
      return { descriptor, bytes: await this.#store.readBytes(descriptor) };
    } catch (error) {
      if (!(error instanceof LktError) || error.code !== 'NOT_FOUND') throw error;
      const { platform, digest } = descriptor;
      const what = platform === undefined ? digest : `the image for ${formatPlatform(platform)}`;
      throw new LktError(
        'NOT_FOUND',
        `cannot push ${formatReference(this.#reference)}: ${what} is neither in the store nor in the registry`,
        { cause: error },
      );
    }
  }

  async #pushBlobs(id: string): Promise<void> {
    const { remote, limit, chunkSize, reporter, sources } = this.#context;
    const { repository } = remote;
    // Longest first, so that none of them runs alone at the end.
    const blobs = [...this.#blobs.values()].toSorted((one, other) => other.size - one.size);
    let total = blobs.reduce((sum, { size }) => sum + size, 0);
    let current = 0;
    const onBytes = (count: number): void => {
      current += count;
      reporter.emit({ kind: 'progress', id, current, total, unit: 'bytes' });
    };
    await mapConcurrent(
      blobs,
      async ({ digest, size }, signal) =>
        limit.run(async () => {
          // The registry computes the digest too.
          const reading = { canReuseBuffers: true, isCheckedByConsumer: true };
          const read = (offset: number): AsyncIterable<Uint8Array> =>
            from(this.#store.read({ digest, size }, reading), offset);
          const options: UploadOptions = {
            mountFrom: async () => sources.of(this.#store, repository, digest),
            chunkSize,
            onBytes,
          };
          const to = remote.withSignal(signal);
          const done = await this.#upload(to, { digest, size, read }, options);
          sources.add(repository, digest);
          if (done === 'uploaded') this.#bytes += size;
          else total -= size;
          if (done !== 'present') this.#changed = true;
        }),
      { signal: remote.signal },
    );
  }

  /**
   * Uploads a blob.
   * @throws DIGEST_MISMATCH, instead of the registry's error, if the blob of the store is damaged
   */
  async #upload(
    remote: Remote,
    source: UploadSource,
    options: UploadOptions,
  ): Promise<UploadResult> {
    try {
      return await uploadBlob(remote, source, options);
    } catch (error) {
      remote.signal?.throwIfAborted();
      for await (const chunk of this.#store.read(source, { canReuseBuffers: true })) void chunk;
      throw error;
    }
  }

  /** Pushes a manifest and records it as a referrer of its subject. */
  async #put(manifest: Manifest, as?: ManifestKey): Promise<void> {
    const { remote } = this.#context;
    const { digest } = manifest.descriptor;
    const put = await putManifest(remote, as ?? { digest }, manifest);
    if (put === undefined) throw new Error('an unconditional PUT failed its condition');
    const { subject } = parseDocument(manifest, digest);
    if (subject !== undefined && !put.knowsSubject)
      await recordReferrer(remote, manifest, subject.digest);
    this.#changed = true;
  }
}

async function* from(
  content: AsyncIterable<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const chunk of content) {
    if (skip < chunk.length) yield skip === 0 ? chunk : chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
  }
}
