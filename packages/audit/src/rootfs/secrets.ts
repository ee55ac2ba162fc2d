import type { Finding } from './rules.ts';

/**
 * Finds in text, which comes in pieces, what nobody who has the image should have: private keys in PEM form (RFC 7468),
 * and in the files of accounts passwords, or the word that none is needed (shadow(5)).
 */
export class SecretScan {
  readonly #path: string;
  readonly #isAccounts: boolean;
  #tail = '';
  #accounts = '';
  #hasKey = false;

  constructor(path: string) {
    this.#path = path;
    this.#isAccounts = ACCOUNTS.has(path);
  }

  add(piece: Uint8Array): void {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    if (this.#isAccounts && this.#accounts.length < MAX_ACCOUNTS)
      this.#accounts += bytes.toString('latin1');
    if (this.#hasKey) return;
    // One char for each byte: all that is looked for is ASCII. Most pieces have nothing that would be worth a text.
    const isWorthIt = bytes.includes(MARK) || (this.#tail + start(bytes)).includes(MARK);
    if (isWorthIt) this.#hasKey = PRIVATE_KEY.test(this.#tail + bytes.toString('latin1'));
    this.#tail = (
      this.#tail + bytes.toString('latin1', Math.max(0, bytes.length - MAX_PATTERN_LENGTH))
    ).slice(-MAX_PATTERN_LENGTH);
  }

  *findings(): Generator<Finding> {
    const path = this.#path;
    if (this.#hasKey) yield { rule: 'secret', path, what: 'has a private key' };
    for (const line of this.#accounts.split('\n')) {
      const [name = '', password] = line.split(':');
      if (password === undefined || password === 'x') continue;
      if (password === '') yield { rule: 'secret', path, what: `lets ${name} in without password` };
      else if (!/^[!*]/.test(password))
        yield { rule: 'secret', path, what: `has a password of ${name}` };
    }
  }
}

const ACCOUNTS: ReadonlySet<string> = new Set([
  '/etc/passwd',
  '/etc/passwd-',
  '/etc/shadow',
  '/etc/shadow-',
]);
const MAX_ACCOUNTS = 2 ** 20;
/** A key, and not a program that knows of keys: base64 or a header is on the next line. */
const PRIVATE_KEY =
  /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\r?\n(?:[A-Za-z0-9+/=]{16}|Proc-Type:|DEK-Info:)/;
const MARK = 'PRIVATE KEY-----';
const MAX_PATTERN_LENGTH = 128;

function start(bytes: Buffer): string {
  return bytes.toString('latin1', 0, MAX_PATTERN_LENGTH);
}
