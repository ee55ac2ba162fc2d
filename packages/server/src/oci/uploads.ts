import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import type { Digest, SpeedLimit } from '@lkt/core';
import type { BlobInfo, Store } from '@lkt/oci';
import { chunksOf, tooLong } from '../exchange.ts';
import { ApiError } from '../api-error.ts';

/**
 * A blob upload in chunks. Streams to disk and enters the store only when complete and verified.
 */
export class Upload {
  readonly id: string = randomUUID();
  readonly repository: string;
  /** Bytes received. */
  size = 0;
  lastUsed: number = Date.now();
  isBusy = false;
  readonly #store: Store;
  readonly #limit: number;
  readonly #content = new PassThrough();
  #writing: Promise<BlobInfo | undefined> | undefined;
  #expectedDigest: Digest | undefined;
  #failure: unknown;

  constructor(store: Store, repository: string, limit: number) {
    this.#store = store;
    this.repository = repository;
    this.#limit = limit;
    this.#content.on('error', () => undefined);
  }

  /**
   * Receives a chunk. Bytes received before a broken connection count, and the client can resume
   * after them.
   * @throws ApiError 408 if they arrive too slowly
   */
  async add(request: IncomingMessage, minSpeed: SpeedLimit): Promise<void> {
    const finalDigest = (): Digest => this.#requireDigest();
    this.#writing ??= this.#store
      .write(this.#received(), { finalDigest })
      .catch((error: unknown) => {
        this.#failure ??= error;
        this.#content.destroy();
        return undefined;
      });
    for await (const chunk of chunksOf(request, minSpeed)) {
      if (this.size + chunk.length > this.#limit) throw tooLong(this.#limit);
      this.size += chunk.length;
      if (this.#content.destroyed) throw await this.#failed();
      if (!this.#content.write(chunk)) await drained(this.#content);
    }
    if (this.#content.destroyed) throw await this.#failed();
  }

  /**
   * Completes the upload.
   * @throws ApiError 400 if the content does not match the digest; it is then discarded
   */
  async commit(digest: Digest): Promise<BlobInfo> {
    this.#expectedDigest = digest;
    this.#content.end();
    const info = await this.#writing;
    if (info === undefined) throw await this.#failed();
    return info;
  }

  /** Discards the upload. */
  async cancel(): Promise<void> {
    this.#failure ??= hasEnded();
    this.#content.destroy();
    await this.#writing;
  }

  async *#received(): AsyncGenerator<Uint8Array> {
    yield* this.#content;
    this.#requireDigest();
  }

  /** Returns the digest that the client states at the end. */
  #requireDigest(): Digest {
    if (this.#expectedDigest === undefined) throw hasEnded();
    return this.#expectedDigest;
  }

  /** Returns why the upload has ended. The store closes the stream before it reports its error. */
  async #failed(): Promise<unknown> {
    await this.#writing;
    return this.#failure ?? hasEnded();
  }
}

const hasEnded = (): ApiError => new ApiError(404, 'BLOB_UPLOAD_UNKNOWN', 'the upload has ended');

/** Waits until the stream accepts data or is closed. */
async function drained(stream: PassThrough): Promise<void> {
  const done = new AbortController();
  const { signal } = done;
  const events = [once(stream, 'drain', { signal }), once(stream, 'close', { signal })];
  // After an error the stream is closed, too.
  await Promise.race(events).catch(() => undefined);
  done.abort();
}

interface UploadLimits {
  /** Maximum open uploads. */
  readonly maxUploads: number;
  /** Milliseconds after which an idle upload is discarded. */
  readonly idleMs: number;
  readonly maxBlobSize: number;
}

/** The open uploads. */
export class Uploads {
  readonly #store: Store;
  readonly #limits: UploadLimits;
  readonly #open = new Map<string, Upload>();
  readonly #timer: NodeJS.Timeout;

  constructor(store: Store, limits: UploadLimits) {
    this.#store = store;
    this.#limits = limits;
    this.#timer = setInterval(() => this.#expire(), Math.max(10, limits.idleMs / 4)).unref();
  }

  /**
   * Opens an upload.
   * @throws ApiError 429 if too many are open
   */
  start(repository: string): Upload {
    if (this.#open.size >= this.#limits.maxUploads)
      throw new ApiError(429, 'TOOMANYREQUESTS', 'too many uploads are open', {
        'retry-after': '30',
      });
    const upload = new Upload(this.#store, repository, this.#limits.maxBlobSize);
    this.#open.set(upload.id, upload);
    return upload;
  }

  /**
   * Runs `run` with exclusive use of an upload.
   * @throws ApiError 404 if it does not exist; 409 if another request uses it
   */
  async use<T>(id: string, repository: string, run: (upload: Upload) => Promise<T>): Promise<T> {
    const upload = this.#open.get(id);
    if (upload === undefined || upload.repository !== repository)
      throw new ApiError(404, 'BLOB_UPLOAD_UNKNOWN', 'upload not found');
    if (upload.isBusy)
      throw new ApiError(409, 'BLOB_UPLOAD_INVALID', 'another request uses the upload');
    upload.isBusy = true;
    try {
      return await run(upload);
    } finally {
      upload.isBusy = false;
      upload.lastUsed = Date.now();
    }
  }

  /** Removes and discards an upload. */
  async end(upload: Upload): Promise<void> {
    this.#open.delete(upload.id);
    await upload.cancel();
  }

  /** Discards all uploads. */
  async endAll(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#open.values()].map(async (upload) => this.end(upload)));
  }

  #expire(): void {
    for (const upload of this.#open.values())
      if (!upload.isBusy && Date.now() - upload.lastUsed > this.#limits.idleMs)
        void this.end(upload);
  }
}
