import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.ts';

/** Who knows which token may do what. Without any, everybody who gets through to the server may do everything. */
export interface Tokens {
  /** Read and write. */
  readonly write: readonly string[];
  readonly read: readonly string[];
}

/** Shorter ones could be guessed. */
export const MIN_TOKEN: number = 16;

interface Known {
  readonly hash: Buffer;
  readonly mayWrite: boolean;
}

/** Decides what a request may do, by its token: as `Bearer`, or as the password of any user. */
export class Access {
  readonly #known: readonly Known[];
  readonly #hosts: ReadonlySet<string> | undefined;

  /**
   * @param hosts what the server may be called without tokens, in lower case. It keeps off pages of the web whose names
   * lead to this machine: their scripts would be let in by nothing else.
   */
  constructor({ read, write }: Tokens, hosts: ReadonlySet<string> | undefined) {
    this.#known = [
      ...write.map((token) => ({ hash: hashOf(token), mayWrite: true })),
      ...read.map((token) => ({ hash: hashOf(token), mayWrite: false })),
    ];
    this.#hosts = hosts;
  }

  /** @throws Refusal */
  check({ headers }: IncomingMessage, isWrite: boolean): void {
    // Programs send none; what sends one is a page of the web.
    if (headers.origin !== undefined) throw new Refusal(403, 'DENIED', 'no pages of the web here');
    if (this.#known.length === 0) {
      const host = (headers.host ?? '').toLowerCase().replace(/:\d+$/, '');
      if (this.#hosts?.has(host) === false)
        throw new Refusal(403, 'DENIED', 'this server has another name');
      return;
    }
    const given = hashOf(tokenOf(headers.authorization ?? ''));
    // All are compared, whichever it is, and each in the same time.
    let found: Known | undefined;
    for (const known of this.#known) if (timingSafeEqual(known.hash, given)) found ??= known;
    if (found === undefined)
      throw new Refusal(401, 'UNAUTHORIZED', 'a token is needed', {
        'www-authenticate': 'Basic realm="lkt", charset="UTF-8"',
      });
    if (isWrite && !found.mayWrite)
      throw new Refusal(403, 'DENIED', 'the token is for reading only');
  }
}

/** Hashes have one length, whatever was given. */
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
