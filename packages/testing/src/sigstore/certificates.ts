import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import type { initializeCA } from '@sigstore/mock';
import { pem } from './pem.ts';
import type { Claims, TokenIssuer } from './token-issuer.ts';
import { resign, withEmailName, withPublicKey } from './certificate-der.ts';

type CertificateAuthority = Awaited<ReturnType<typeof initializeCA>>;

// https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
const ISSUER_V1 = '1.3.6.1.4.1.57264.1.1';
const ISSUER_V2 = '1.3.6.1.4.1.57264.1.8';
const REPOSITORY = '1.3.6.1.4.1.57264.1.12';
const REF = '1.3.6.1.4.1.57264.1.14';
const WORKFLOW = '1.3.6.1.4.1.57264.1.18';
const ENVIRONMENT = '1.3.6.1.4.1.57264.1.23';

/** An extension of a certificate: a UTF8String, or the value itself. */
export interface CertificateExtension {
  readonly oid: string;
  readonly value: string;
  readonly isRaw?: boolean;
}

/** A request to Fulcio. */
export interface CertificateRequest {
  readonly token: string;
  /** PEM, or base64 of PEM or DER: P-256 or Ed25519. */
  readonly publicKey: string;
  /** Signature over the token's subject, by the certified key. */
  readonly proof: Buffer;
}

/**
 * Issues a certificate as Fulcio does, to the holder of a token and a key. Returns PEM, the leaf
 * first.
 */
export async function issueCertificate(
  authority: CertificateAuthority,
  authorityKey: KeyObject,
  issuer: TokenIssuer,
  request: CertificateRequest,
  extensions: readonly CertificateExtension[] = [],
): Promise<readonly string[]> {
  const claims = issuer.claims(request.token);
  const subject = claims.email ?? claims.sub;
  const key = publicKeyFrom(request.publicKey);
  const isEd25519 = key.asymmetricKeyType === 'ed25519';
  if (!verify(isEd25519 ? null : 'sha256', Buffer.from(subject), key, request.proof))
    throw new Error('the proof of possession does not verify');
  const spki = key.export({ type: 'spki', format: 'der' });
  const leaf = await authority.issueCertificate({
    publicKey: isEd25519 ? placeholder(spki) : Buffer.from(spki),
    subjectAltName: subject,
    extensions: [
      { oid: ISSUER_V1, value: claims.iss, legacy: true },
      { oid: ISSUER_V2, value: claims.iss },
      ...workflowExtensions(claims),
      ...extensions.map(({ oid, value, isRaw = false }) => ({ oid, value, legacy: isRaw })),
    ],
  });
  const certificate = resign(authorityKey, completed(bytesOf(leaf)));
  return [certificate, bytesOf(authority.rootCertificate)].map((der) => pem('CERTIFICATE', der));
}

/** Keys for which a P-256 key stands in, by its hexadecimal SubjectPublicKeyInfo. */
const substituted = new Map<string, Buffer>();

function placeholder(spki: Buffer): Buffer<ArrayBuffer> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = publicKey.export({ type: 'spki', format: 'der' });
  substituted.set(other.toString('hex'), spki);
  return Buffer.from(other);
}

/** Returns a certificate with what @sigstore/mock cannot write. Its signature is not valid. */
export function completed(certificate: Buffer): Buffer {
  return withPublicKey(withEmailName(certificate), substituted);
}

/** Returns the claims of a workflow as Fulcio writes them for GitHub. */
function workflowExtensions(claims: Claims): readonly CertificateExtension[] {
  const { server_url: server = '', repository, ref, workflow_ref: workflow, environment } = claims;
  const values = {
    [REPOSITORY]: repository === undefined ? undefined : `${server}/${repository}`,
    [REF]: ref,
    [WORKFLOW]: workflow === undefined ? undefined : `${server}/${workflow}`,
    [ENVIRONMENT]: environment,
  };
  return Object.entries(values).flatMap(([oid, value]) =>
    value === undefined ? [] : [{ oid, value }],
  );
}

/** Returns the bytes of a view, without a copy. */
export function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

function publicKeyFrom(text: string): KeyObject {
  if (text.includes('-----')) return createPublicKey(text);
  const content = Buffer.from(text, 'base64');
  return content.includes('-----')
    ? createPublicKey(content)
    : createPublicKey({ key: content, type: 'spki', format: 'der' });
}
