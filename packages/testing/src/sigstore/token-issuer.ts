import { generateKeyPairSync, sign, verify } from 'node:crypto';

const TOKEN_SECONDS = 300;

/** Claims of an identity token. */
export interface Claims {
  readonly iss: string;
  readonly sub: string;
  readonly aud: string;
  readonly exp: number;
  readonly email?: string;
  /** Claims of a workflow, as GitHub names them; `server_url` is its base URL. */
  readonly server_url?: string;
  readonly repository?: string;
  readonly ref?: string;
  readonly workflow_ref?: string;
  readonly environment?: string;
}

/** An OpenID Connect provider, as far as a certificate authority needs one. */
export class TokenIssuer {
  readonly url: string;
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  constructor(url: string) {
    this.url = url;
  }

  /** Returns a token for a machine (`https://…`) or a person (with an @). */
  token(subject: string, claims: Partial<Claims> = {}): string {
    const now = Math.floor(Date.now() / 1000);
    const person = subject.includes('@') ? { email: subject, email_verified: true } : {};
    const all = {
      iss: this.url,
      sub: subject,
      aud: 'sigstore',
      iat: now,
      exp: now + TOKEN_SECONDS,
    };
    const text = [
      { alg: 'ES256', typ: 'JWT' },
      { ...all, ...person, ...claims },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const key = { key: this.#keys.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  }

  /**
   * Verifies a token and returns its claims.
   * @throws Error if the token is of another issuer or audience, or expired
   */
  claims(token: string): Claims {
    const [head = '', body = '', signature = ''] = token.split('.');
    const key = { key: this.#keys.publicKey, dsaEncoding: 'ieee-p1363' } as const;
    const signed = Buffer.from(`${head}.${body}`);
    if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url')))
      throw new Error('the token is not signed by the issuer');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims;
    if (claims.aud !== 'sigstore') throw new Error('the token is for another audience');
    if (claims.exp * 1000 < Date.now()) throw new Error('the token has expired');
    return claims;
  }
}
