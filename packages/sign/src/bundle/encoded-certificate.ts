import type { X509Certificate } from '@sigstore/core';

/** The subject's public key is the seventh element of what is signed (RFC 5280, 4.1). */
const PUBLIC_KEY = 6;

/** The verifier encodes a certificate anew, part by part, each time that it compares or checks one. */
export function keepCertificateEncoded({ root }: X509Certificate): void {
  const signed = root.subs[0];
  for (const object of [signed?.subs[PUBLIC_KEY], signed, root]) {
    if (object === undefined) continue;
    const encoded = object.toDER();
    object.toDER = () => encoded;
  }
}
