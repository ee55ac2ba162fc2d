import type { X509Certificate } from '@sigstore/core';

/** Index of subjectPublicKeyInfo in a TBSCertificate (RFC 5280, 4.1). */
const PUBLIC_KEY = 6;

/**
 * Keeps the DER encoding of a certificate and its parts. Without this the verifier encodes them
 * again for each comparison and check.
 */
export function cacheCertificateEncoding({ root }: X509Certificate): void {
  const signed = root.subs[0];
  for (const object of [signed?.subs[PUBLIC_KEY], signed, root]) {
    if (object === undefined) continue;
    const encode = object.toDER.bind(object);
    let encoded: Buffer | undefined;
    object.toDER = () => (encoded ??= encode());
  }
}
