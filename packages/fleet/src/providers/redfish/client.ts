import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { ProviderError, type ProviderFailure } from '../../provider.ts';

/** How to reach a service. */
export interface RedfishCredentials {
  readonly user: string;
  readonly password: string;
  /** PEM; undefined: the authorities of Node. */
  readonly ca: string | undefined;
}

/** A resource of a service. */
export interface Resource {
  readonly body: Readonly<Record<string, unknown>>;
  readonly etag: string | undefined;
}

const MAX_ANSWER_BYTES = 2 ** 20;
const TIMEOUT_MS = 30_000;
const FAILURES: Readonly<Record<number, readonly [ProviderFailure, string]>> = {
  401: ['denied', 'check the user and the password file'],
  403: ['denied', 'give the user the rights of docs/fleet/redfish.md'],
  429: ['throttled', 'wait'],
};

/** Sends requests to Redfish services, each with the credentials, and follows no redirection. */
export class RedfishClient {
  readonly #credentials: RedfishCredentials;

  constructor(credentials: RedfishCredentials) {
    this.#credentials = credentials;
  }

  /** @throws ProviderError */
  async get(url: string, path: string, signal: AbortSignal): Promise<Resource> {
    const { text, etag } = await this.#send('GET', url, path, { signal });
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch (cause) {
      throw new ProviderError('malformed', `${url}${path} is not JSON`, { cause });
    }
    if (typeof body === 'object' && body !== null && !Array.isArray(body))
      return { body: body as Resource['body'], etag };
    throw new ProviderError('malformed', `${url}${path} is not a Redfish resource`);
  }

  /** @throws ProviderError */
  async send(
    method: 'POST' | 'PATCH',
    url: string,
    path: string,
    options: { readonly body: unknown; readonly etag?: string | undefined; signal: AbortSignal },
  ): Promise<void> {
    await this.#send(method, url, path, options);
  }

  async #send(
    method: string,
    url: string,
    path: string,
    { body, etag, signal }: { body?: unknown; etag?: string | undefined; signal: AbortSignal },
  ): Promise<{ readonly text: string; readonly etag: string | undefined }> {
    signal.throwIfAborted();
    const { user, password, ca } = this.#credentials;
    const text = body === undefined ? '' : JSON.stringify(body);
    const options: RequestOptions & { ca?: string } = {
      method,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      headers: {
        accept: 'application/json',
        authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
        'odata-version': '4.0',
        ...(etag === undefined ? {} : { 'if-match': etag }),
        ...(text === '' ? {} : { 'content-type': 'application/json' }),
        'content-length': Buffer.byteLength(text),
      },
      ...(ca === undefined ? {} : { ca }),
    };
    const where = `${method} ${url}${path}`;
    let status: number;
    let answer: string;
    let tag: string | undefined;
    try {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const send = url.startsWith('https:') ? httpsRequest : httpRequest;
        send(`${url}${path}`, options, resolve).on('error', reject).end(text);
      });
      status = response.statusCode ?? 0;
      tag = response.headers.etag;
      answer = await read(response, where);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof ProviderError) throw error;
      const cause = error instanceof Error ? error.message : String(error);
      throw new ProviderError('unavailable', `${where}: ${cause}`, {
        fix: 'check the URL, and that caFile has the certificate of the service',
      });
    }
    if (status >= 200 && status < 300) return { text: answer, etag: tag };
    const [failure, fix] = FAILURES[status] ?? [status >= 500 ? 'unavailable' : 'invalid'];
    throw new ProviderError(failure, `${where}: status ${status}${messageOf(answer)}`, { fix });
  }
}

async function read(response: IncomingMessage, where: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_ANSWER_BYTES)
      throw new ProviderError('malformed', `${where}: the response exceeds 1 MiB`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Returns the message of Redfish's error, if there is one. */
function messageOf(answer: string): string {
  const [, message = ''] = /"[Mm]essage"\s*:\s*"([^"\\]{1,200})"/.exec(answer) ?? [];
  return message === '' ? '' : `: ${message}`;
}
