import { type Digest, LktError } from '@lkt/core';
import { type HttpResponse, NetworkError, readableUrl } from '@lkt/http';
import { registryError } from './errors.ts';
import { inTurn } from './in-turn.ts';
import type { Remote } from './remote.ts';

export interface UploadOptions {
  /** Repositories of the same registry that may have the blob. */
  readonly mountFrom?: readonly string[] | undefined;
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

export type Uploaded = 'mounted' | 'present' | 'uploaded';

/** What registries take in one request whose servers limit it. */
const CHUNK = 32 * 2 ** 20;
const TRIES = 5;

/** Whether a repository has a blob. */
async function hasBlob(
  remote: Remote,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const response = await remote.request(remote.url(`blobs/${digest}`), {
    action: 'pull',
    method: 'HEAD',
    signal,
  });
  await response.discard();
  return response.status === 200;
}

/**
 * Brings a blob into a repository: not at all if it is there, from another repository if the registry can, else by
 * sending it. What breaks goes on where the registry says it broke.
 *
 * The same blob is brought once however many ask for it: while it comes a second time, docker-registry may say that it
 * is not there.
 * @throws LktError ACCESS_DENIED, DIGEST_MISMATCH (of the source), NETWORK_FAILED
 */
export async function uploadBlob(
  remote: Remote,
  source: UploadSource,
  options: UploadOptions,
): Promise<Uploaded> {
  return inTurn(`push ${remote.url(`blobs/${source.digest}`).href}`, async () =>
    bring(remote, source, options),
  );
}

async function bring(
  remote: Remote,
  source: UploadSource,
  options: UploadOptions,
): Promise<Uploaded> {
  const { mountFrom = [], signal } = options;
  if (await hasBlob(remote, source.digest, signal)) return 'present';
  let session: Session | undefined;
  for (const from of mountFrom) {
    const answer = await tryMount(remote, source, from, signal);
    if (answer === undefined) continue;
    // Of the uploads that registries begin instead, one is enough, or none.
    if (session !== undefined) await cancelUpload(remote, session);
    if (answer === 'mounted') return 'mounted';
    session = answer;
  }
  session ??= await startUpload(remote, source, signal);
  await new Upload(remote, source, options, session).send();
  return 'uploaded';
}

/** Where an upload goes on. */
interface Session {
  readonly url: URL;
  /** The least bytes of a part that is not the last. */
  readonly minChunk: number;
}

/** Mounts the blob; or gets an upload instead, as registries do that cannot; or neither. */
async function tryMount(
  remote: Remote,
  { digest }: UploadSource,
  from: string,
  signal: AbortSignal | undefined,
): Promise<Session | 'mounted' | undefined> {
  const url = remote.url('blobs/uploads/');
  url.searchParams.set('mount', digest);
  url.searchParams.set('from', from);
  let response: HttpResponse;
  try {
    response = await remote.request(url, {
      action: 'push',
      from: [from],
      method: 'POST',
      headers: { 'content-length': '0' },
      signal,
    });
  } catch (error) {
    // There are token services that give no token at all for more than the user may read.
    if (error instanceof LktError && error.code === 'ACCESS_DENIED') return undefined;
    throw error;
  }
  await response.discard();
  if (response.status === 201) return 'mounted';
  // A registry that may not read the other one says so in many ways, and takes the blob all the same.
  return response.status === 202 ? sessionFrom(remote, response) : undefined;
}

async function startUpload(
  remote: Remote,
  { digest }: UploadSource,
  signal: AbortSignal | undefined,
): Promise<Session> {
  const response = await remote.request(remote.url('blobs/uploads/'), {
    action: 'push',
    method: 'POST',
    headers: { 'content-length': '0' },
    signal,
  });
  if (response.status !== 202)
    throw await registryError(response, `push blob ${digest} to ${remote.path}`);
  await response.discard();
  return sessionFrom(remote, response);
}

/** The address is used as it was given: it holds what the registry must find in it. */
function sessionFrom(remote: Remote, response: HttpResponse, minChunk = 0): Session {
  const location = response.header('location');
  if (location === undefined || !URL.canParse(location, response.url.href))
    throw new LktError('NETWORK_FAILED', `${response.url.host} names no address to send a blob to`);
  const url = new URL(location, response.url);
  const own = new URL(remote.base);
  if (own.protocol === 'https:' && url.protocol === 'http:') {
    // Behind a proxy that does TLS for it, a registry may think that it speaks http.
    if (url.hostname !== own.hostname)
      throw new LktError(
        'NETWORK_FAILED',
        `${own.host} wants blobs sent to ${readableUrl(url)}, which is not https`,
      );
    url.protocol = 'https:';
    url.port = own.port;
  }
  const said = Number(response.header('oci-chunk-min-length') ?? minChunk);
  return { url, minChunk: Number.isSafeInteger(said) ? said : 0 };
}

/** One blob on its way. */
class Upload {
  readonly #remote: Remote;
  readonly #source: UploadSource;
  readonly #options: UploadOptions;
  #session: Session;
  /** Bytes the registry has. */
  #offset = 0;
  /** Bytes that were reported. */
  #reported = 0;
  #chunkSize: number | undefined;

  constructor(remote: Remote, source: UploadSource, options: UploadOptions, session: Session) {
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
    this.#session = await startUpload(this.#remote, this.#source, signal);
  }
}

/** Frees what the registry holds of an upload. It does so itself after a while. */
async function cancelUpload(remote: Remote, { url }: Session): Promise<void> {
  try {
    const response = await remote.request(url, {
      action: 'push',
      method: 'DELETE',
      headers: { 'content-length': '0' },
      signal: AbortSignal.timeout(2000),
      retry: false,
    });
    await response.discard();
  } catch {
    // Nothing depends on it.
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
