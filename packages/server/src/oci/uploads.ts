import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { type Digest, Digester } from '@lkt/core';
import type { BlobInfo, Store } from '@lkt/oci';
import { chunksOf, tooLong } from '../exchange.ts';
import { Refusal } from '../refusal.ts';

/** A blob that comes in pieces. It goes to disk as it comes, and into the store when it is whole and what it should be. */
export class Upload {
  readonly id: string = randomUUID();
  readonly repository: string;
  /** Bytes that have come. */
  size = 0;
  lastUsed: number = Date.now();
  isBusy = false;
  readonly #store: Store;
  readonly #limit: number;
  readonly #content = new PassThrough();
  readonly #digester = new Digester();
  #written: Promise<BlobInfo | undefined> | undefined;
  #wanted: Digest | undefined;
  #failure: unknown;

  constructor(store: Store, repository: string, limit: number) {
    this.#store = store;
    this.repository = repository;
    this.#limit = limit;
    this.#content.on('error', () => undefined);
  }

  /** Takes a piece. What has come before a connection breaks stays, and the client may go on from there. */
  async add(request: IncomingMessage): Promise<void> {
    // Under which name it is kept is known at its end.
    this.#written ??= this.#store.write(this.#checked()).catch((error: unknown) => {
      this.#failure ??= error;
      this.#content.destroy();
      return undefined;
    });
    for await (const chunk of chunksOf(request)) {
      if (this.size + chunk.length > this.#limit) throw tooLong(this.#limit);
      this.size += chunk.length;
      this.#digester.update(chunk);
      if (this.#content.destroyed) throw this.#failed();
      if (!this.#content.write(chunk)) await drained(this.#content);
    }
    if (this.#content.destroyed) throw this.#failed();
  }

  /** Ends it. @throws Refusal when it is not what was said; then nothing of it stays */
  async commit(digest: Digest): Promise<BlobInfo> {
    this.#wanted = digest;
    this.#content.end();
    const info = await this.#written;
    if (info === undefined) throw this.#failed();
    return info;
  }

  /** Nothing of it stays. */
  async cancel(): Promise<void> {
    this.#failure ??= new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'the upload has ended');
    this.#content.destroy();
    await this.#written;
  }

  async *#checked(): AsyncGenerator<Uint8Array> {
    yield* this.#content;
    if (this.#wanted === undefined) throw this.#failed();
    const digest = this.#digester.digest();
    if (digest !== this.#wanted)
      throw new Refusal(400, 'DIGEST_INVALID', `it is ${digest}, not ${this.#wanted}`);
  }

  #failed(): unknown {
    return this.#failure ?? new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'the upload has ended');
  }
}

/** Waits until more can be written, or nothing any more. */
async function drained(stream: PassThrough): Promise<void> {
  const done = new AbortController();
  const { signal } = done;
  await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]);
  done.abort();
}

interface UploadLimits {
  /** That are open at once. */
  readonly count: number;
  /** Milliseconds after which one that nobody goes on with is given up. */
  readonly idle: number;
  readonly blobSize: number;
}

/** The uploads that are going on. */
export class Uploads {
  readonly #store: Store;
  readonly #limits: UploadLimits;
  readonly #open = new Map<string, Upload>();
  readonly #timer: NodeJS.Timeout;

  constructor(store: Store, limits: UploadLimits) {
    this.#store = store;
    this.#limits = limits;
    this.#timer = setInterval(() => this.#expire(), Math.max(10, limits.idle / 4)).unref();
  }

  /** @throws Refusal when there are too many */
  start(repository: string): Upload {
    if (this.#open.size >= this.#limits.count)
      throw new Refusal(429, 'TOOMANYREQUESTS', 'too many uploads are open', {
        'retry-after': '30',
      });
    const upload = new Upload(this.#store, repository, this.#limits.blobSize);
    this.#open.set(upload.id, upload);
    return upload;
  }

  /** Does something with an upload, alone. @throws Refusal when there is none, or something is being done with it */
  async use<T>(id: string, repository: string, run: (upload: Upload) => Promise<T>): Promise<T> {
    const upload = this.#open.get(id);
    if (upload === undefined || upload.repository !== repository)
      throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload');
    if (upload.isBusy)
      throw new Refusal(409, 'BLOB_UPLOAD_INVALID', 'another request goes on with it');
    upload.isBusy = true;
    try {
      return await run(upload);
    } finally {
      upload.isBusy = false;
      upload.lastUsed = Date.now();
    }
  }

  /** Forgets one, and removes what there is of it. */
  async end(upload: Upload): Promise<void> {
    this.#open.delete(upload.id);
    await upload.cancel();
  }

  async endAll(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#open.values()].map(async (upload) => this.end(upload)));
  }

  #expire(): void {
    for (const upload of this.#open.values())
      if (!upload.isBusy && Date.now() - upload.lastUsed > this.#limits.idle) void this.end(upload);
  }
}
