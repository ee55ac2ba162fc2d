import type { Digest } from '@lkt/core';
import { type HttpResponse, NetworkError } from '@lkt/http';
import { registryError } from './errors.ts';
import type { Remote } from './remote.ts';
import { cancelUpload, sessionFrom, startUpload, type UploadSession } from './upload-session.ts';

export interface SendOptions {
  readonly chunkSize?: number | undefined;
  /** Told of every piece that went out, and of what has to go again (a negative number). */
  readonly onBytes?: (count: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A blob to push. */
export interface UploadSource {
  readonly digest: Digest;
  readonly size: number;
  /**
   * Its content from a byte on, anew each time. Each piece stays as it is until the next one is asked for; the last one
   * is given when all is known to be right, so that what is damaged is never sent whole.
   */
  readonly read: (offset: number) => AsyncIterable<Uint8Array>;
}

/** What registries take in one request whose servers limit it. */
const CHUNK = 32 * 2 ** 20;
const TRIES = 5;

/**
 * Sends a blob in an upload that has begun. What breaks goes on where the registry says it broke; what cannot go on is
 * cancelled.
 * @throws LktError ACCESS_DENIED, DIGEST_MISMATCH (of the source), NETWORK_FAILED
 */
export async function sendBlob(
  remote: Remote,
  source: UploadSource,
  options: SendOptions,
  session: UploadSession,
): Promise<void> {
  await new Upload(remote, source, options, session).send();
}

/** One blob on its way. */
class Upload {
  readonly #remote: Remote;
  readonly #source: UploadSource;
  readonly #options: SendOptions;
  #session: UploadSession;
  /** Bytes the registry has. */
  #offset = 0;
  /** Bytes that were reported. */
  #reported = 0;
  #chunkSize: number | undefined;

  constructor(remote: Remote, source: UploadSource, options: SendOptions, session: UploadSession) {
    this.#remote = remote;
    this.#source = source;
    this.#options = options;
    this.#session = session;
    this.#chunkSize = options.chunkSize;
  }

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
    const { signal } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const before = this.#offset;
      const failure = await this.#sendRest();
      if (failure === undefined) return;
      if (this.#offset > before) attempt = 1;
      signal?.throwIfAborted();
      if (failure instanceof Error && !isWorthAnotherTry(failure)) throw failure;
      if (attempt >= TRIES) {
        throw failure instanceof Error
          ? failure
          : await registryError(failure, `push blob ${digest} to ${this.#remote.path}`);
      }
      if (!(failure instanceof Error)) {
        const { status } = failure;
        const isMisplaced = status === 416;
        const isTooLong = status === 413 && this.#chunkSize === undefined && size > CHUNK;
        const isOver = status === 404 || status >= 500 || status === 408 || status === 429;
        if (!isMisplaced && !isTooLong && !isOver)
          throw await registryError(failure, `push blob ${digest} to ${this.#remote.path}`);
        await failure.discard();
        if (isTooLong) this.#chunkSize = CHUNK;
      }
      await this.#recover();
    }
  }

  /** Sends what the registry does not have yet. What came of it: nothing when all is there, an answer, an error. */
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
      const response = await this.#request('PUT', this.#closing(), size);
      if (response.status !== 201) return response;
      await response.discard();
      return undefined;
    } catch (error) {
      if (error instanceof Error) return error;
      throw error;
    }
  }

  /** The address with the digest. The rest of it stays as it was, byte by byte: it may be signed. */
  #closing(): URL {
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
      signal: this.#options.signal,
      // A second try need not begin where the first did.
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

  /** Asks how far it got (distribution-spec, "Pushing a blob in chunks"), or begins anew. */
  async #recover(): Promise<void> {
    const { signal } = this.#options;
    const response = await this.#remote.request(this.#session.url, {
      action: 'push',
      method: 'GET',
      redirect: false,
      signal,
    });
    await response.discard();
    const end = rangeEnd(response);
    if (response.status === 204 && end !== undefined && end <= this.#source.size) {
      // `0-0` stands for one byte, and for none.
      this.#offset = end === 1 ? 0 : end;
      if (response.header('location') !== undefined)
        this.#session = sessionFrom(this.#remote, response, this.#session.minChunk);
      if (end !== 1) return;
    }
    await cancelUpload(this.#remote, this.#session);
    this.#offset = 0;
    this.#session = await startUpload(this.#remote, this.#source.digest, signal);
  }
}

/** The number of bytes that `Range: 0-N` stands for. */
function rangeEnd(response: HttpResponse): number | undefined {
  const end = /^(?:bytes=)?0-(\d+)$/.exec(response.header('range') ?? '')?.[1];
  return end === undefined ? undefined : Number(end) + 1;
}

function isWorthAnotherTry(error: Error): boolean {
  return error instanceof NetworkError && error.isTemporary;
}
