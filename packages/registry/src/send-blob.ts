import type { Digest } from '@lkt/core';
import { type HttpResponse, NetworkError } from '@lkt/http';
import { registryError } from './api-error.ts';
import type { Remote } from './remote.ts';
import { cancelUpload, sessionFrom, startUpload, type UploadSession } from './upload-session.ts';

/** Options of sending a blob. */
export interface SendOptions {
  readonly chunkSize?: number | undefined;
  /** Called with the size of each sent chunk; negative for bytes to be sent again. */
  readonly onBytes?: (count: number) => void;
}

/** A blob to push. */
export interface UploadSource {
  readonly digest: Digest;
  readonly size: number;
  /**
   * Returns a new stream of the content from an offset. A chunk must not change until the next one
   * is requested.
   */
  readonly read: (offset: number) => AsyncIterable<Uint8Array>;
}

/** Bytes per request for registries whose servers limit it. */
const LIMITED_CHUNK_BYTES = 32 * 2 ** 20;
const MAX_ATTEMPTS = 5;

/** The upload of one blob in a started session. */
export class Upload {
  readonly #remote: Remote;
  readonly #source: UploadSource;
  readonly #options: SendOptions;
  #session: UploadSession;
  /** Bytes that the registry has. */
  #offset = 0;
  /** Bytes reported to `onBytes`. */
  #reported = 0;
  #chunkSize: number | undefined;

  constructor(remote: Remote, source: UploadSource, options: SendOptions, session: UploadSession) {
    this.#remote = remote;
    this.#source = source;
    this.#options = options;
    this.#session = session;
    this.#chunkSize = options.chunkSize;
  }

  /**
   * Sends the blob. Resumes at the registry's offset after an interruption, and cancels the session
   * on failure.
   * @throws ACCESS_DENIED, DIGEST_MISMATCH (of the source), NETWORK_FAILED
   */
  async send(): Promise<void> {
    try {
      await this.#sendAll();
    } catch (error) {
      await cancelUpload(this.#remote, this.#session);
      throw error;
    }
  }

  async #sendAll(): Promise<void> {
    const { digest, size } = this.#source;
    for (let attempt = 1; ; attempt += 1) {
      const before = this.#offset;
      const failure = await this.#sendRest();
      if (failure === undefined) return;
      if (this.#offset > before) attempt = 1;
      this.#remote.signal?.throwIfAborted();
      if (failure instanceof Error && !isRetryable(failure)) throw failure;
      if (attempt >= MAX_ATTEMPTS) {
        throw failure instanceof Error
          ? failure
          : await registryError(
              failure,
              this.#remote.base,
              `push blob ${digest} to ${this.#remote.repository.path}`,
            );
      }
      if (!(failure instanceof Error)) {
        const { status } = failure;
        const isMisplaced = status === 416;
        const isTooLong =
          status === 413 && this.#chunkSize === undefined && size > LIMITED_CHUNK_BYTES;
        const isOver = status === 404 || status >= 500 || status === 408 || status === 429;
        if (!isMisplaced && !isTooLong && !isOver)
          throw await registryError(
            failure,
            this.#remote.base,
            `push blob ${digest} to ${this.#remote.repository.path}`,
          );
        await failure.discard();
        if (isTooLong) this.#chunkSize = LIMITED_CHUNK_BYTES;
      }
      await this.#recover();
    }
  }

  /** Sends the remaining bytes. Returns undefined on completion, else the response or error. */
  async #sendRest(): Promise<Error | HttpResponse | undefined> {
    try {
      const { size } = this.#source;
      for (;;) {
        const end = this.#offset + Math.max(this.#chunkSize ?? size, this.#session.minChunk, 1);
        if (end >= size) break;
        const response = await this.#request('PATCH', this.#session.url, end);
        if (response.status !== 202) return response;
        await response.discard();
        this.#offset = rangeEnd(response) ?? end;
        this.#session = sessionFrom(this.#remote, response, this.#session.minChunk);
      }
      const response = await this.#request('PUT', this.#finalUrl(), size);
      if (response.status !== 201) return response;
      await response.discard();
      return undefined;
    } catch (error) {
      if (error instanceof Error) return error;
      throw error;
    }
  }

  /** Returns the URL with the digest. The rest stays byte for byte, since it may be signed. */
  #finalUrl(): URL {
    const url = new URL(this.#session.url);
    const before = url.search === '' ? '' : `${url.search.slice(1)}&`;
    url.search = `${before}digest=${encodeURIComponent(this.#source.digest)}`;
    return url;
  }

  async #request(method: 'PATCH' | 'PUT', url: URL, end: number): Promise<HttpResponse> {
    const start = this.#offset;
    const isWhole = start === 0 && end === this.#source.size;
    this.#report(start);
    return this.#remote.request(url, {
      action: 'push',
      method,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(end - start),
        ...(isWhole || end === start ? {} : { 'content-range': `${start}-${end - 1}` }),
      },
      body: () => this.#part(start, end),
      // A retry may start at another offset.
      retry: false,
    });
  }

  async *#part(start: number, end: number): AsyncGenerator<Uint8Array> {
    let position = start;
    this.#report(start);
    if (start === end) return;
    for await (const chunk of this.#source.read(start)) {
      const part = chunk.subarray(0, end - position);
      position += part.length;
      yield part;
      this.#report(position);
      if (position === end && end < this.#source.size) break;
    }
  }

  #report(position: number): void {
    this.#options.onBytes?.(position - this.#reported);
    this.#reported = position;
  }

  /**
   * Asks for the registry's offset (distribution-spec, "Pushing a blob in chunks"), or restarts the
   * upload.
   */
  async #recover(): Promise<void> {
    const response = await this.#remote.request(this.#session.url, {
      action: 'push',
      method: 'GET',
      redirect: false,
    });
    await response.discard();
    const end = rangeEnd(response);
    if (response.status === 204 && end !== undefined && end <= this.#source.size) {
      // `0-0` can mean one byte or none.
      this.#offset = end === 1 ? 0 : end;
      if (response.header('location') !== undefined)
        this.#session = sessionFrom(this.#remote, response, this.#session.minChunk);
      if (end !== 1) return;
    }
    await cancelUpload(this.#remote, this.#session);
    this.#offset = 0;
    this.#session = await startUpload(this.#remote, this.#source.digest);
  }
}

/** Returns the number of bytes in `Range: 0-N`. */
function rangeEnd(response: HttpResponse): number | undefined {
  const end = /^(?:bytes=)?0-(\d+)$/.exec(response.header('range') ?? '')?.[1];
  return end === undefined ? undefined : Number(end) + 1;
}

function isRetryable(error: Error): boolean {
  return error instanceof NetworkError && error.isTemporary;
}
