import { LktError } from '@lkt/core';
import { type HttpClient, type HttpResponse, isLoopback, redactUrl } from '@lkt/http';

/** Certificates and log entries have some KB. */
const MAX_ANSWER = 4 * 2 ** 20;

const MAX_MESSAGE = 300;

/** A server of a Sigstore instance: certificate authority, log or timestamp authority. */
export class Service {
  readonly #http: HttpClient;
  readonly #base: string;
  readonly #what: string;

  /**
   * @param what for errors: `the log`
   * @throws LktError CONFIG_INVALID for anything but https, or http on this machine
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
    return response.bytes(MAX_ANSWER);
  }

  async json(response: HttpResponse): Promise<unknown> {
    const text = (await this.bytes(response)).toString();
    try {
      return JSON.parse(text);
    } catch {
      throw this.nonsense('it is not JSON');
    }
  }

  nonsense(why: string): LktError {
    return new LktError(
      'NETWORK_FAILED',
      `${this.#what} at ${redactUrl(this.#base)} gave an answer that makes no sense: ${why}`,
    );
  }

  /** What the server says of why it refuses, without `secret`, which it may have repeated. */
  async refusal(response: HttpResponse, secret?: string): Promise<LktError> {
    const text = (await this.bytes(response)).toString();
    const message = withoutSecret(messageOf(text), secret).replace(/\s+/g, ' ').trim();
    const isDenied = [400, 401, 403].includes(response.status);
    return new LktError(
      isDenied ? 'ACCESS_DENIED' : 'NETWORK_FAILED',
      `${this.#what} at ${redactUrl(this.#base)} refuses (${response.status})${message === '' ? '' : `: ${message}`}`,
    );
  }
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Text then.
  }
  return text;
}

/** Neither the whole of it nor a part: the middle of a token is what it claims, the last its proof. */
function withoutSecret(text: string, secret: string | undefined): string {
  const parts = secret === undefined ? [] : [secret, ...secret.split('.')];
  const clean = parts
    .filter((part) => part.length >= 8)
    .reduce((rest, part) => rest.replaceAll(part, '…'), text);
  return clean.slice(0, MAX_MESSAGE);
}

function checkedAddress(address: string, what: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'https:') return address;
  if (url?.protocol === 'http:' && isLoopback(url.hostname)) return address;
  throw new LktError('CONFIG_INVALID', `the address of ${what} is not one of https`, {
    fix: 'write it as https://sigstore.example',
  });
}
