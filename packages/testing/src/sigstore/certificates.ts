import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { initializeCA } from '@sigstore/mock';
import { pem } from './pem.ts';
import type { Claims, TokenIssuer } from './token-issuer.ts';
import { withEmailName, resign } from './certificate-der.ts';

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
  /** PEM, or base64 of PEM or DER. */
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
  if (!verify('sha256', Buffer.from(subject), key, request.proof))
    throw new Error('the proof of possession does not verify');
  const leaf = await authority.issueCertificate({
    publicKey: Buffer.from(key.export({ type: 'spki', format: 'der' })),
    subjectAltName: subject,
    extensions: [
      { oid: ISSUER_V1, value: claims.iss, legacy: true },
      { oid: ISSUER_V2, value: claims.iss },
      ...workflowExtensions(claims),
      ...extensions.map(({ oid, value, isRaw = false }) => ({ oid, value, legacy: isRaw })),
    ],
  });
  const certificate = resign(authorityKey, withEmailName(bytesOf(leaf)));
  return [certificate, bytesOf(authority.rootCertificate)].map((der) => pem('CERTIFICATE', der));
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
