import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ApiError } from './api-error.ts';

/** Access tokens by right. Without any, every client that reaches the server may do everything. */
export interface Tokens {
  /** Tokens for reading and writing. */
  readonly write: readonly string[];
  /** Tokens for reading. */
  readonly read: readonly string[];
}

/** Minimum length of a token in characters; shorter ones could be guessed. */
export const MIN_TOKEN_LENGTH: number = 16;

interface KnownToken {
  readonly hash: Buffer;
  readonly canWrite: boolean;
}

/** Authorizes requests by token, sent as `Bearer` or as the password of any user. */
export class Access {
  readonly #known: readonly KnownToken[];
  readonly #hosts: ReadonlySet<string> | undefined;

  /**
   * @param hosts accepted host names without tokens, in lower case. They block DNS rebinding: web
   * pages whose name resolves to this machine.
   */
  constructor({ read, write }: Tokens, hosts: ReadonlySet<string> | undefined) {
    this.#known = [
      ...write.map((token) => ({ hash: hashOf(token), canWrite: true })),
      ...read.map((token) => ({ hash: hashOf(token), canWrite: false })),
    ];
    this.#hosts = hosts;
  }

  /**
   * Checks a request.
   * @throws ApiError 401 or 403
   */
  check({ headers }: IncomingMessage, isWrite: boolean): void {
    // Only browsers send an origin.
    if (headers.origin !== undefined)
      throw new ApiError(403, 'DENIED', 'requests of web pages are not allowed');
    if (this.#known.length === 0) {
      const host = (headers.host ?? '').toLowerCase().replace(/:\d+$/, '');
      if (this.#hosts?.has(host) === false)
        throw new ApiError(403, 'DENIED', 'the host name is not allowed');
      return;
    }
    const given = hashOf(tokenOf(headers.authorization ?? ''));
    // Compares all tokens in constant time.
    let found: KnownToken | undefined;
    for (const known of this.#known) if (timingSafeEqual(known.hash, given)) found ??= known;
    if (found === undefined)
      throw new ApiError(401, 'UNAUTHORIZED', 'a token is required', {
        'www-authenticate': 'Basic realm="lkt", charset="UTF-8"',
      });
    if (isWrite && !found.canWrite) throw new ApiError(403, 'DENIED', 'the token is read-only');
  }
}

/** Hashes have the same length for every token. */
function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function tokenOf(authorization: string): string {
  const [, scheme = '', value = ''] = /^(\w+) +(\S+)$/.exec(authorization) ?? [];
  if (/^bearer$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return '';
  const pair = Buffer.from(value, 'base64').toString();
  return pair.slice(pair.indexOf(':') + 1);
}
