import { VerificationError } from './verification-error.ts';
import type { Identity } from './verification.ts';

// https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
const ISSUER_V1 = '1.3.6.1.4.1.57264.1.1';
const ISSUER_V2 = '1.3.6.1.4.1.57264.1.8';

/**
 * Returns the identity in a certificate of Fulcio. Does not verify the certificate.
 * @throws VerificationError
 */
export async function identityOfCertificate(der: Buffer): Promise<Identity> {
  const { X509Certificate } = await import('@sigstore/core');
  try {
    const certificate = X509Certificate.parse(Buffer.from(der));
    const subject = certificate.subjectAltName;
    const issuer =
      certificate.extension(ISSUER_V2)?.valueObj.subs[0]?.value.toString() ??
      certificate.extension(ISSUER_V1)?.value.toString();
    if (subject !== undefined && issuer !== undefined) return { subject, issuer };
  } catch {
    // Not valid DER: reported below.
  }
  throw new VerificationError('the certificate has no subject or no issuer');
}
