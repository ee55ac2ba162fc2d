import { type KeyObject, sign, X509Certificate } from 'node:crypto';
import type { Service } from './service.ts';
import { tokenSubject } from './token.ts';

/** A short-lived certificate for a key, followed by those of its authority; the leaf is first. */
export type CertificateChain = readonly [X509Certificate, ...X509Certificate[]];

/**
 * Requests a certificate (https://github.com/sigstore/fulcio/blob/main/fulcio.proto, v2).
 * @throws ACCESS_DENIED, NETWORK_FAILED; their messages do not contain the token
 */
export async function requestCertificate(
  service: Service,
  token: string,
  pair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
): Promise<CertificateChain> {
  const proof = sign('sha256', Buffer.from(tokenSubject(token)), pair.privateKey);
  const request = {
    credentials: { oidcIdentityToken: token },
    publicKeyRequest: {
      publicKey: {
        algorithm: 'ECDSA',
        content: pair.publicKey.export({ type: 'spki', format: 'pem' }),
      },
      proofOfPossession: proof.toString('base64'),
    },
  };
  const body = JSON.stringify(request);
  const response = await service.post('/api/v2/signingCert', body, { secret: token });
  const [leaf, ...rest] = chainOf(await service.json(response));
  if (leaf === undefined) throw service.unexpectedResponse('no certificate');
  if (!leaf.publicKey.equals(pair.publicKey))
    throw service.unexpectedResponse('the certificate is for another key');
  return [leaf, ...rest];
}

function chainOf(document: unknown): X509Certificate[] {
  try {
    const answer = document as Record<string, { chain?: { certificates?: unknown } } | undefined>;
    const { certificates } =
      (answer['signedCertificateEmbeddedSct'] ?? answer['signedCertificateDetachedSct'])?.chain ??
      {};
    return Array.isArray(certificates)
      ? certificates.map((text) => new X509Certificate(String(text)))
      : [];
  } catch {
    return [];
  }
}
