import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ApiError } from './api-error.ts';

/** A right; each includes those before it. */
export type Right = 'read' | 'write' | 'delete';

/**
 * Access tokens by right. Without any, every client that reaches the server may read and write. No
 * client may delete without a token for that.
 */
export interface Tokens {
  /** Tokens for reading, writing and deleting. */
  readonly delete: readonly string[];
  /** Tokens for reading and writing. */
  readonly write: readonly string[];
  /** Tokens for reading. */
  readonly read: readonly string[];
}

/** Minimum length of a token in characters; shorter ones could be guessed. */
export const MIN_TOKEN_LENGTH: number = 16;

const RIGHTS: readonly Right[] = ['read', 'write', 'delete'];

interface KnownToken {
  readonly hash: Buffer;
  readonly right: Right;
}

/** Authorizes requests by token, sent as `Bearer` or as the password of any user. */
export class Access {
  readonly #known: readonly KnownToken[];
  readonly #hosts: ReadonlySet<string> | undefined;

  /**
   * @param hosts accepted host names without tokens, in lower case. They block DNS rebinding: web
   * pages whose name resolves to this machine.
   */
  constructor(tokens: Tokens, hosts: ReadonlySet<string> | undefined) {
    // The highest right of a token counts.
    this.#known = RIGHTS.toReversed().flatMap((right) =>
      tokens[right].map((token) => ({ hash: hashOf(token), right })),
    );
    this.#hosts = hosts;
  }

  /**
   * Checks a request.
   * @throws ApiError 401 or 403; 405 if no token may delete
   */
  check({ headers }: IncomingMessage, right: Right): void {
    // Only browsers send an origin.
    if (headers.origin !== undefined)
      throw new ApiError(403, 'DENIED', 'requests of web pages are not allowed');
    if (this.#known.length === 0) {
      const host = (headers.host ?? '').toLowerCase().replace(/:\d+$/, '');
      if (this.#hosts?.has(host) === false)
        throw new ApiError(403, 'DENIED', 'the host name is not allowed');
      if (right === 'delete') throw noDeletion();
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
    if (RIGHTS.indexOf(right) <= RIGHTS.indexOf(found.right)) return;
    if (right === 'delete' && !this.#known.some((known) => known.right === 'delete'))
      throw noDeletion();
    throw new ApiError(403, 'DENIED', `the token may not ${right}`);
  }
}

function noDeletion(): ApiError {
  return new ApiError(405, 'UNSUPPORTED', 'the server has no token for deleting', {
    allow: 'GET, HEAD, PUT',
  });
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
