import { ProviderError } from '../provider.ts';
import { type JsonObject, textOf } from './json-object.ts';

/** A token of a service. */
export interface Token {
  readonly text: string;
  readonly lifetimeMs: number;
}

/**
 * Returns the token of an OAuth 2.0 response (RFC 6749, 5.1). `expires_in` may be a text, as from
 * Azure's metadata service.
 * @param cloud for the message
 * @throws ProviderError
 */
export function tokenOf(cloud: string, body: JsonObject): Token {
  const text = textOf(body['access_token']);
  const seconds = Number(body['expires_in']);
  if (/^[\x21-\x7e]{1,16384}$/.test(text) && seconds > 0)
    return { text, lifetimeMs: seconds * 1000 };
  throw new ProviderError('malformed', `${cloud}: the response has no token`);
}

/** A token is renewed this long before it expires. */
const MARGIN_MS = 300_000;

/** Keeps a token in memory until shortly before it expires. */
export class TokenCache {
  readonly #fetch: (signal: AbortSignal) => Promise<Token>;
  #token: { readonly text: string; readonly endsAt: number } | undefined;

  constructor(fetch: (signal: AbortSignal) => Promise<Token>) {
    this.#fetch = fetch;
  }

  /** @param isRejected the service refused the earlier one */
  async get(signal: AbortSignal, isRejected: boolean): Promise<string> {
    const known = this.#token;
    if (!isRejected && known !== undefined && performance.now() < known.endsAt) return known.text;
    const { text, lifetimeMs } = await this.#fetch(signal);
    // A token that lives shorter than the margin is used for half its life.
    const margin = Math.min(MARGIN_MS, lifetimeMs / 2);
    this.#token = { text, endsAt: performance.now() + lifetimeMs - margin };
    return text;
  }
}
