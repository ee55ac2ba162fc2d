import { generateKeyPair, type KeyObject, sign, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { LktError } from '@lkt/core';
import { createHttpClient, type HttpClient, type HttpOptions } from '@lkt/http';
import { type Identity, identityOfCertificate } from '../verify/certificate-identity.ts';
import { type CertificateChain, requestCertificate } from '../sigstore/fulcio.ts';
import { type PublicKey, signatureHash, type SigningKey } from '../keys/keys.ts';
import { type LogEntry, logSignature, type Proposal } from '../sigstore/rekor.ts';
import { keyDetails, logSignature2 } from '../sigstore/rekor2.ts';
import { Service } from '../sigstore/service.ts';
import { requestTimestamp } from '../sigstore/timestamp.ts';
import type { IdentityProvider } from '../sigstore/token.ts';
import type { TrustedRoot } from '../sigstore/trusted-root.ts';
import { VerificationError } from '../verify/verification-error.ts';

/**
 * The public instance of Sigstore. Its log publishes signatures together with the signer's
 * identity.
 */
const PUBLIC_FULCIO = 'https://fulcio.sigstore.dev';
const PUBLIC_REKOR = 'https://rekor.sigstore.dev';

/** The log and timestamp authority of a signer. */
export interface WitnessOptions {
  /** URL of a transparency log for the signatures. */
  readonly rekorUrl?: string | undefined;
  /** Major version of the log's API; default 1. Version 2 has no key but P-256 and RSA. */
  readonly rekorVersion?: 1 | 2 | undefined;
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

/**
 * Returns a signer with a private key. It makes no request unless the options name a log or
 * authority.
 */
export function keySigner({ key, publicKey }: SigningKey, options: WitnessOptions = {}): Signer {
  return {
    open: async (signal) => {
      if (options.rekorUrl !== undefined && options.rekorVersion === 2) keyDetails(publicKey.key);
      const material = { kind: 'key', publicKey } as const;
      return new SigningSession(key, material, client(options), options, signal);
    },
  };
}

/**
 * Returns a signer with the identity of a token and an ephemeral key. The token goes only to the
 * certificate authority and appears in no error.
 */
export function keylessSigner({ identity, fulcioUrl, ...given }: KeylessOptions): Signer {
  const options = { ...given, rekorUrl: given.rekorUrl ?? PUBLIC_REKOR };
  if (options.rekorVersion === 2 && options.tsaUrl === undefined)
    throw new LktError(
      'CONFIG_INVALID',
      'Rekor 2 does not prove the time of a signature, which an identity needs',
      {
        fix: 'name a timestamp authority too',
      },
    );
  return {
    open: async (signal) => {
      const http = client(options);
      try {
        const url = fulcioUrl ?? PUBLIC_FULCIO;
        const authority = new Service(http, url, 'the certificate authority', signal);
        const token = typeof identity === 'string' ? identity : await identity.token(http, signal);
        const pair = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
        const chain = await requestCertificate(authority, token, pair);
        const who = await identityIn(chain, authority);
        const material = { kind: 'certificate', chain, identity: who } as const;
        return new SigningSession(pair.privateKey, material, http, options, signal);
      } catch (error) {
        await http[Symbol.asyncDispose]();
        throw error;
      }
    },
  };
}

async function identityIn([leaf]: CertificateChain, authority: Service): Promise<Identity> {
  try {
    return (await identityOfCertificate(leaf.raw)).identity;
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw authority.unexpectedResponse(error.message);
  }
}

function client({ http = {} }: WitnessOptions): HttpClient {
  return createHttpClient({ ...http, userAgent: http.userAgent ?? 'lkt' });
}

/** A signer ready to sign. */
export class SigningSession implements AsyncDisposable {
  readonly material: SigningMaterial;
  readonly root: TrustedRoot | undefined;
  readonly #key: KeyObject;
  readonly #http: HttpClient;
  readonly #rekor: Service | undefined;
  readonly #rekorVersion: 1 | 2;
  readonly #tsa: Service | undefined;
  readonly #tsaPath: string;

  constructor(
    key: KeyObject,
    material: SigningMaterial,
    http: HttpClient,
    { rekorUrl, rekorVersion = 1, tsaUrl, root }: WitnessOptions,
    signal: AbortSignal | undefined,
  ) {
    this.#key = key;
    this.material = material;
    this.root = root;
    this.#http = http;
    const service = (url: string | undefined, what: string): Service | undefined =>
      url === undefined ? undefined : new Service(http, url, what, signal);
    this.#rekor = service(rekorUrl, 'the log');
    this.#rekorVersion = rekorVersion;
    this.#tsa = service(tsaUrl, 'the timestamp authority');
    const isServer = tsaUrl !== undefined && new URL(tsaUrl).pathname === '/';
    this.#tsaPath = isServer ? '/api/v1/timestamp' : '';
  }

  /** Reports whether the session has a log and a timestamp authority. */
  get witnesses(): { readonly log: boolean; readonly timestamp: boolean } {
    return { log: this.#rekor !== undefined, timestamp: this.#tsa !== undefined };
  }

  /**
   * Reports whether the session can sign in the form of cosign 2. With a log, that form needs a
   * promise of Rekor 1, which has only the digest, by which no pure Ed25519 signature verifies.
   */
  get canSignSimply(): boolean {
    if (this.#rekor === undefined) return true;
    return this.#rekorVersion === 1 && signatureHash(this.#key) !== null;
  }

  sign(data: Uint8Array): Buffer {
    return sign(signatureHash(this.#key), data, this.#key);
  }

  /** Returns undefined without a log. */
  async log(proposal: Proposal): Promise<LogEntry | undefined> {
    if (this.#rekor === undefined) return undefined;
    const { material } = this;
    const verifier: KeyObject | X509Certificate =
      material.kind === 'key' ? material.publicKey.key : material.chain[0];
    const log = this.#rekorVersion === 2 ? logSignature2 : logSignature;
    return log(this.#rekor, proposal, verifier);
  }

  /** Returns undefined without a timestamp authority. */
  async timestamp(signature: Uint8Array): Promise<Buffer | undefined> {
    return this.#tsa === undefined
      ? undefined
      : requestTimestamp(this.#tsa, this.#tsaPath, signature);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}
