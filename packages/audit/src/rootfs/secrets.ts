import type { Finding } from './rules.ts';

/**
 * Finds secrets in text that arrives in chunks: private keys in PEM form (RFC 7468), and in account
 * files password hashes and empty passwords (shadow(5)).
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
    if (this.#isAccounts && this.#accounts.length < MAX_ACCOUNTS_BYTES)
      this.#accounts += bytes.toString('latin1');
    if (this.#hasKey) return;
    // latin1 has one char per byte, and all patterns are ASCII. Most chunks lack the mark and skip
    // the regular expression.
    const hasMark = bytes.includes(PEM_MARK) || (this.#tail + start(bytes)).includes(PEM_MARK);
    if (hasMark) this.#hasKey = PRIVATE_KEY.test(this.#tail + bytes.toString('latin1'));
    this.#tail = (
      this.#tail + bytes.toString('latin1', Math.max(0, bytes.length - MAX_MATCH_BYTES))
    ).slice(-MAX_MATCH_BYTES);
  }

  *findings(): Generator<Finding> {
    const path = this.#path;
    if (this.#hasKey) yield { rule: 'secret', path, what: 'contains a private key' };
    for (const line of this.#accounts.split('\n')) {
      const [name = '', password] = line.split(':');
      if (password === undefined || password === 'x') continue;
      if (password === '')
        yield { rule: 'secret', path, what: `lets ${name} log in without a password` };
      else if (!/^[!*]/.test(password))
        yield { rule: 'secret', path, what: `contains the password hash of ${name}` };
    }
  }
}

const ACCOUNTS: ReadonlySet<string> = new Set([
  '/etc/passwd',
  '/etc/passwd-',
  '/etc/shadow',
  '/etc/shadow-',
]);
const MAX_ACCOUNTS_BYTES = 2 ** 20;
/** Matches a key but not a program that mentions keys: the next line is base64 or a header. */
const PRIVATE_KEY =
  /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----\r?\n(?:[A-Za-z0-9+/=]{16}|Proc-Type:|DEK-Info:)/;
const PEM_MARK = 'PRIVATE KEY-----';
const MAX_MATCH_BYTES = 128;

function start(bytes: Buffer): string {
  return bytes.toString('latin1', 0, MAX_MATCH_BYTES);
}
