import { LktError } from '@lkt/core';
import {
  type HttpClient,
  type HttpResponse,
  isLoopback,
  redactUrl,
  type RequestOptions,
} from '@lkt/http';

/** Bytes. Certificates and log entries have some KB. */
const MAX_RESPONSE_BYTES = 4 * 2 ** 20;

const MAX_MESSAGE_CHARS = 300;

/** A server of a Sigstore instance: certificate authority, log or timestamp authority. */
export class Service {
  readonly #http: HttpClient;
  readonly #base: string;
  readonly #what: string;
  readonly #signal: AbortSignal | undefined;

  /**
   * @param what the server's role, for messages: `the log`
   * @throws CONFIG_INVALID unless the URL is https, or http on a loopback address
   */
  constructor(http: HttpClient, base: string, what: string, signal: AbortSignal | undefined) {
    this.#http = http;
    this.#base = checkedAddress(base, what).replace(/\/+$/, '');
    this.#what = what;
    this.#signal = signal;
  }

  /**
   * Sends content and returns the response.
   * @throws ACCESS_DENIED, NETWORK_FAILED, also for another status; without `secret` in the message
   */
  async post(
    path: string,
    body: string | Uint8Array,
    {
      type = 'application/json',
      accept = type,
      statuses = [200, 201],
      secret,
    }: { type?: string; accept?: string; statuses?: readonly number[]; secret?: string } = {},
  ): Promise<HttpResponse> {
    const headers = { 'content-type': type, accept };
    return this.#request(path, { method: 'POST', headers, body }, statuses, secret);
  }

  /**
   * Returns a document.
   * @throws ACCESS_DENIED, NETWORK_FAILED, also for a status other than 200
   */
  async get(path: string): Promise<unknown> {
    const headers = { accept: 'application/json' };
    return this.json(await this.#request(path, { headers }, [200]));
  }

  async bytes(response: HttpResponse): Promise<Buffer> {
    return response.bytes(MAX_RESPONSE_BYTES);
  }

  async json(response: HttpResponse): Promise<unknown> {
    const text = (await this.bytes(response)).toString();
    try {
      return JSON.parse(text);
    } catch {
      throw this.unexpectedResponse('not JSON');
    }
  }

  unexpectedResponse(why: string): LktError {
    return new LktError(
      'NETWORK_FAILED',
      `${this.#what} at ${redactUrl(this.#base)} sent an unexpected response: ${why}`,
    );
  }

  async #request(
    path: string,
    options: RequestOptions,
    statuses: readonly number[],
    secret?: string,
  ): Promise<HttpResponse> {
    const url = `${this.#base}${path}`;
    const response = await this.#http.request(url, { ...options, signal: this.#signal });
    if (statuses.includes(response.status)) return response;
    const text = (await this.bytes(response)).toString();
    // The server may echo the secret.
    const message = withoutSecret(messageOf(text), secret).replace(/\s+/g, ' ').trim();
    const isDenied = [400, 401, 403].includes(response.status);
    throw new LktError(
      isDenied ? 'ACCESS_DENIED' : 'NETWORK_FAILED',
      `${this.#what} at ${redactUrl(this.#base)} refused the request (${response.status})${message === '' ? '' : `: ${message}`}`,
    );
  }
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Use the plain text.
  }
  return text;
}

/**
 * Removes the secret and its parts: a token's middle part holds its claims, the last its signature.
 */
function withoutSecret(text: string, secret: string | undefined): string {
  const parts = secret === undefined ? [] : [secret, ...secret.split('.')];
  const clean = parts
    .filter((part) => part.length >= 8)
    .reduce((rest, part) => rest.replaceAll(part, '…'), text);
  return clean.slice(0, MAX_MESSAGE_CHARS);
}

/**
 * Returns an address.
 * @throws CONFIG_INVALID unless it is https, or http on a loopback address
 */
export function checkedAddress(address: string, what: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'https:') return address;
  if (url?.protocol === 'http:' && isLoopback(url.hostname)) return address;
  throw new LktError('CONFIG_INVALID', `the URL of ${what} is not https`, {
    fix: 'use an https URL, such as https://sigstore.example',
  });
}
