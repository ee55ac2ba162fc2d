import { generateKeyPair, type KeyObject, sign, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { createHttpClient, type HttpClient, type HttpOptions } from '@lkt/http';
import { identityOfCertificate } from '../verify/certificate-identity.ts';
import { type CertificateChain, requestCertificate } from '../sigstore/fulcio.ts';
import type { PublicKey, SigningKey } from '../keys/keys.ts';
import { type LogEntry, logSignature, type Proposal } from '../sigstore/rekor.ts';
import { Service } from '../sigstore/service.ts';
import { requestTimestamp } from '../sigstore/timestamp.ts';
import type { IdentityProvider } from '../sigstore/token.ts';
import type { TrustedRoot } from '../sigstore/trusted-root.ts';
import { VerificationError } from '../verify/verification-error.ts';
import type { Identity } from '../verify/verification.ts';

/**
 * The public instance of Sigstore. Its log publishes signatures together with the signer's
 * identity.
 */
export const PUBLIC_FULCIO = 'https://fulcio.sigstore.dev';
export const PUBLIC_REKOR = 'https://rekor.sigstore.dev';

/** The log and timestamp authority of a signer. */
export interface WitnessOptions {
  /** URL of a transparency log for the signatures (Rekor 1). */
  readonly rekorUrl?: string | undefined;
  /** URL of a timestamp authority (RFC 3161), or of the server that it runs on. */
  readonly tsaUrl?: string | undefined;
  /** Trusted root that must accept the new signatures before they are written. */
  readonly root?: TrustedRoot | undefined;
  readonly http?: HttpOptions;
}

/** Options of `keylessSigner`. */
export interface KeylessOptions extends WitnessOptions {
  /** An identity token, or a provider of one. */
  readonly identity: string | IdentityProvider;
  /** URL of the certificate authority; default: the public instance. */
  readonly fulcioUrl?: string | undefined;
  /** Default: the public instance. */
  readonly rekorUrl?: string | undefined;
}

/** A key or identity that signs. */
export interface Signer {
  /**
   * Starts a session, with a short-lived certificate if needed.
   * @throws ACCESS_DENIED, NETWORK_FAILED, CONFIG_INVALID
   */
  open(signal?: AbortSignal): Promise<SigningSession>;
}

type SigningMaterial =
  | { readonly kind: 'key'; readonly publicKey: PublicKey }
  | {
      readonly kind: 'certificate';
      readonly chain: CertificateChain;
      readonly identity: Identity;
    };

/** A signer ready to sign. */
export interface SigningSession extends AsyncDisposable {
  readonly material: SigningMaterial;
  /** The public key or certificate, in PEM form. */
  readonly verifier: string;
  /** Whether the session has a log and a timestamp authority. */
  readonly witnesses: { readonly log: boolean; readonly timestamp: boolean };
  readonly root: TrustedRoot | undefined;
  sign(data: Uint8Array): Buffer;
  /** Returns undefined without a log. */
  log(proposal: Proposal): Promise<LogEntry | undefined>;
  /** Returns undefined without a timestamp authority. */
  timestamp(signature: Uint8Array): Promise<Buffer | undefined>;
}

/**
 * Returns a signer with a private key. It makes no request unless the options name a log or
 * authority.
 */
export function keySigner({ key, publicKey }: SigningKey, options: WitnessOptions = {}): Signer {
  return {
    open: async (signal) =>
      new Session(key, { kind: 'key', publicKey }, client(options), options, signal),
  };
}

/**
 * Returns a signer with the identity of a token and an ephemeral key. The token goes only to the
 * certificate authority and appears in no error.
 */
export function keylessSigner({ identity, fulcioUrl, ...given }: KeylessOptions): Signer {
  const options = { ...given, rekorUrl: given.rekorUrl ?? PUBLIC_REKOR };
  return {
    open: async (signal) => {
      const http = client(options);
      try {
        const authority = new Service(
          http,
          fulcioUrl ?? PUBLIC_FULCIO,
          'the certificate authority',
        );
        const token = typeof identity === 'string' ? identity : await identity.token(http, signal);
        const pair = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
        const chain = await requestCertificate(authority, token, pair, signal);
        const who = await identityIn(chain, authority);
        const material = { kind: 'certificate', chain, identity: who } as const;
        return new Session(pair.privateKey, material, http, options, signal);
      } catch (error) {
        await http[Symbol.asyncDispose]();
        throw error;
      }
    },
  };
}

async function identityIn([leaf]: CertificateChain, authority: Service): Promise<Identity> {
  try {
    return await identityOfCertificate(leaf.raw);
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw authority.unexpectedResponse(error.message);
  }
}

function client({ http = {} }: WitnessOptions): HttpClient {
  return createHttpClient({ ...http, userAgent: http.userAgent ?? 'lkt' });
}

class Session implements SigningSession {
  readonly material: SigningMaterial;
  readonly root: TrustedRoot | undefined;
  readonly #key: KeyObject;
  readonly #http: HttpClient;
  readonly #rekor: Service | undefined;
  readonly #tsa: Service | undefined;
  readonly #tsaPath: string;
  readonly #signal: AbortSignal | undefined;

  constructor(
    key: KeyObject,
    material: SigningMaterial,
    http: HttpClient,
    { rekorUrl, tsaUrl, root }: WitnessOptions,
    signal: AbortSignal | undefined,
  ) {
    this.#key = key;
    this.material = material;
    this.root = root;
    this.#http = http;
    this.#signal = signal;
    this.#rekor = rekorUrl === undefined ? undefined : new Service(http, rekorUrl, 'the log');
    this.#tsa =
      tsaUrl === undefined ? undefined : new Service(http, tsaUrl, 'the timestamp authority');
    const isServer = tsaUrl !== undefined && new URL(tsaUrl).pathname === '/';
    this.#tsaPath = isServer ? '/api/v1/timestamp' : '';
  }

  get verifier(): string {
    return this.material.kind === 'key'
      ? this.material.publicKey.key.export({ type: 'spki', format: 'pem' }).toString()
      : certificatePem(this.material.chain[0]);
  }

  get witnesses(): SigningSession['witnesses'] {
    return { log: this.#rekor !== undefined, timestamp: this.#tsa !== undefined };
  }

  sign(data: Uint8Array): Buffer {
    return sign('sha256', data, this.#key);
  }

  async log(proposal: Proposal): Promise<LogEntry | undefined> {
    if (this.#rekor === undefined) return undefined;
    return logSignature(this.#rekor, proposal, this.#signal);
  }

  async timestamp(signature: Uint8Array): Promise<Buffer | undefined> {
    if (this.#tsa === undefined) return undefined;
    return requestTimestamp(this.#tsa, this.#tsaPath, signature, this.#signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

/** Returns a certificate in PEM form. */
export function certificatePem(certificate: X509Certificate): string {
  // PEM with lines of 64 characters and a final newline.
  return certificate.toString();
}
