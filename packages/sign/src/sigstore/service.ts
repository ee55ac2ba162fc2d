import { LktError } from '@lkt/core';
import { type HttpClient, type HttpResponse, isLoopback, redactUrl } from '@lkt/http';

/** Bytes. Certificates and log entries have some KB. */
const MAX_RESPONSE_BYTES = 4 * 2 ** 20;

const MAX_MESSAGE_CHARS = 300;

/** A server of a Sigstore instance: certificate authority, log or timestamp authority. */
export class Service {
  readonly #http: HttpClient;
  readonly #base: string;
  readonly #what: string;

  /**
   * @param what the server's role, for messages: `the log`
   * @throws CONFIG_INVALID unless the URL is https, or http on a loopback address
   */
  constructor(http: HttpClient, base: string, what: string) {
    this.#http = http;
    this.#base = checkedAddress(base, what).replace(/\/+$/, '');
    this.#what = what;
  }

  async post(
    path: string,
    body: string | Uint8Array,
    { type = 'application/json', accept = type }: { type?: string; accept?: string } = {},
    signal?: AbortSignal,
  ): Promise<HttpResponse> {
    const headers = { 'content-type': type, accept };
    return this.#http.request(`${this.#base}${path}`, { method: 'POST', headers, body, signal });
  }

  async get(path: string, signal?: AbortSignal): Promise<HttpResponse> {
    const headers = { accept: 'application/json' };
    return this.#http.request(`${this.#base}${path}`, { headers, signal });
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

  /**
   * Returns an error with the server's message, from which `secret` is removed in case the server
   * echoed it.
   */
  async errorResponse(response: HttpResponse, secret?: string): Promise<LktError> {
    const text = (await this.bytes(response)).toString();
    const message = withoutSecret(messageOf(text), secret).replace(/\s+/g, ' ').trim();
    const isDenied = [400, 401, 403].includes(response.status);
    return new LktError(
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

function checkedAddress(address: string, what: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'https:') return address;
  if (url?.protocol === 'http:' && isLoopback(url.hostname)) return address;
  throw new LktError('CONFIG_INVALID', `the URL of ${what} is not https`, {
    fix: 'use an https URL, such as https://sigstore.example',
  });
}
