import type { ASN1Obj, X509Certificate } from '@sigstore/core';
import { VerificationError } from './verification-error.ts';

/** An OIDC identity, as a certificate states it. */
export interface Identity {
  /** URL of the OpenID Connect provider. */
  readonly issuer: string;
  /** Subject alternative name of the certificate: the URL of a workflow, or an email address. */
  readonly subject: string;
}

/** The claims of a certificate about the run of a workflow that signed. */
export interface Claims {
  /** URL of the source repository. */
  readonly repository?: string;
  /** URL of the top-level workflow file, `@`, and its ref. */
  readonly workflow?: string;
  /** Branch or tag of the source: `refs/heads/main`. */
  readonly ref?: string;
  readonly environment?: string;
}

// https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
const FULCIO = '1.3.6.1.4.1.57264.1';
const ISSUER_V1 = `${FULCIO}.1`;
const ISSUER_V2 = `${FULCIO}.8`;
const CLAIMS: Readonly<Record<keyof Claims, string>> = {
  repository: `${FULCIO}.12`,
  ref: `${FULCIO}.14`,
  workflow: `${FULCIO}.18`,
  environment: `${FULCIO}.23`,
};

const ALTERNATIVE_NAME = '2.5.29.17';
/** Tags of the names that an identity can have (RFC 5280, 4.2.1.6). */
const EMAIL = 1;
const URI = 6;

/** DER tag of a UTF8String. */
const UTF8_STRING = 0x0c;

/**
 * Returns the identity and claims in a certificate of Fulcio. Does not verify the certificate.
 * @throws VerificationError
 */
export async function identityOfCertificate(
  der: Buffer,
): Promise<{ readonly identity: Identity; readonly claims: Claims }> {
  const { ASN1Obj, X509Certificate: Certificate } = await import('@sigstore/core');
  const textOf = (value: Buffer | undefined): string | undefined => {
    if (value === undefined) return undefined;
    const isText = value[0] === UTF8_STRING;
    const object = isText ? ASN1Obj.parseBuffer(Buffer.from(value)) : undefined;
    if (object?.toDER().equals(value) !== true)
      throw new VerificationError('the certificate has an extension that is not a UTF8String');
    return utf8(object.value);
  };
  let identity: Partial<Identity>;
  let claims: Claims;
  try {
    const certificate = Certificate.parse(Buffer.from(der));
    const issuer = textOf(extension(certificate, ISSUER_V2));
    // The first version has the text itself; later ones have DER.
    const issuerV1 = extension(certificate, ISSUER_V1);
    const plain = issuerV1 === undefined ? undefined : utf8(issuerV1);
    // Programs disagree about which one counts.
    if (issuer !== undefined && plain !== undefined && issuer !== plain)
      throw new VerificationError('the certificate states two issuers');
    const names = extension(certificate, ALTERNATIVE_NAME);
    identity = {
      subject: names === undefined ? undefined : subjectOf(ASN1Obj.parseBuffer(Buffer.from(names))),
      issuer: issuer ?? plain,
    };
    claims = Object.fromEntries(
      Object.entries(CLAIMS).flatMap(([name, oid]) => {
        const text = textOf(extension(certificate, oid));
        return text === undefined ? [] : [[name, text]];
      }),
    );
  } catch (error) {
    if (error instanceof VerificationError) throw error;
    throw new VerificationError('the certificate cannot be parsed');
  }
  const { subject, issuer } = identity;
  if (subject !== undefined && issuer !== undefined)
    return { identity: { subject, issuer }, claims };
  throw new VerificationError('the certificate has no subject or no issuer');
}

/**
 * Returns the only name of a certificate. Of more, programs take different ones. The library drops
 * the highest bit of each letter, so that different names would become equal.
 */
function subjectOf({ subs: [name, ...more] }: ASN1Obj): string | undefined {
  if (more.length > 0) throw new VerificationError('the certificate has more than one name');
  const isUri = name?.tag.isContextSpecific(URI) === true;
  if (name === undefined || !(isUri || name.tag.isContextSpecific(EMAIL))) return undefined;
  const text = name.value.toString('latin1');
  if (!/^[!-~]+$/.test(text))
    throw new VerificationError('the name in the certificate is not printable ASCII');
  if (isUri !== /^[a-z][a-z0-9+.-]*:/i.test(text))
    throw new VerificationError(
      isUri
        ? `the certificate has the URI ${text}, which is not one`
        : `the certificate has the address ${text}, which is not an address`,
    );
  return text;
}

/** Returns the value of an extension; undefined if the certificate lacks it. */
function extension({ extensions }: X509Certificate, oid: string): Buffer | undefined {
  const [found, ...more] = extensions.filter(({ subs }) => subs[0]?.toOID() === oid);
  if (more.length > 0)
    throw new VerificationError(`the certificate has the extension ${oid} twice`);
  return found?.subs.at(-1)?.value;
}

function utf8(bytes: Buffer): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}
