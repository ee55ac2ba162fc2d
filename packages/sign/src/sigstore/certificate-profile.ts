import type { KeyObject } from 'node:crypto';
import type { X509Certificate } from '@sigstore/core';
import { weakness } from '../keys/keys.ts';

/** Purposes in extendedKeyUsage (RFC 5280, 4.2.1.12). */
export const Purpose = {
  codeSigning: { oid: '1.3.6.1.5.5.7.3.3', name: 'code signing' },
  timeStamping: { oid: '1.3.6.1.5.5.7.3.8', name: 'time stamps' },
} as const;

type PurposeOf = (typeof Purpose)[keyof typeof Purpose];

const ANY_PURPOSE = '2.5.29.37.0';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const NAME_CONSTRAINTS = '2.5.29.30';

/**
 * Extensions that may be critical: key identifiers, keyUsage, subjectAltName, basicConstraints,
 * certificatePolicies, extendedKeyUsage. lkt requires no policy.
 */
const KNOWN: ReadonlySet<string> = new Set(
  [14, 15, 17, 19, 32, 35, 37].map((arc) => `2.5.29.${arc}`),
);

/**
 * Returns why a certificate is not one for signatures of images, which the library does not check;
 * undefined if it is.
 * @throws Error for a malformed certificate
 */
export function signerProblem(certificate: X509Certificate, key: KeyObject): string | undefined {
  const weak = weakness(key);
  if (weak !== undefined) return `is for ${weak}`;
  if (certificate.extBasicConstraints?.isCA === true) return 'is of an authority';
  if (certificate.extKeyUsage?.digitalSignature === false) return 'is not for signatures';
  if (purposesOf(certificate)?.includes(Purpose.codeSigning.oid) !== true)
    return 'is not for code signing';
  return formProblem(certificate);
}

/**
 * Returns why an authority's certificate cannot vouch for a purpose, which the library does not
 * check; undefined if it can. One without purposes is for all.
 * @throws Error for a malformed certificate
 */
export function authorityProblem(
  certificate: X509Certificate,
  { oid, name }: PurposeOf,
): string | undefined {
  const purposes = purposesOf(certificate) ?? [ANY_PURPOSE];
  if (!purposes.includes(oid) && !purposes.includes(ANY_PURPOSE)) return `is not for ${name}`;
  // Without an implementation of the constraints, no name is known to be permitted.
  if (certificate.extension(NAME_CONSTRAINTS) !== undefined)
    return 'limits names, which lkt does not support';
  return formProblem(certificate);
}

/** As `authorityProblem`, of the certificate that signs timestamps. It must state that purpose. */
export function stamperProblem(certificate: X509Certificate): string | undefined {
  const isStamper = purposesOf(certificate)?.includes(Purpose.timeStamping.oid) === true;
  return isStamper
    ? authorityProblem(certificate, Purpose.timeStamping)
    : `is not for ${Purpose.timeStamping.name}`;
}

function purposesOf(certificate: X509Certificate): readonly string[] | undefined {
  const list = certificate.extension(EXTENDED_KEY_USAGE)?.valueObj.subs[0]?.subs;
  return list?.map((item) => item.toOID());
}

/** Returns what RFC 5280 forbids in a certificate, or requires to understand. */
function formProblem({ root, extensions }: X509Certificate): string | undefined {
  const [signed, algorithm] = root.subs;
  const inner = signed?.subs[2];
  if (inner === undefined || algorithm?.toDER().equals(inner.toDER()) !== true)
    return 'names two algorithms for its signature';
  const seen = new Set<string>();
  for (const { subs } of extensions) {
    const oid = subs[0]?.toOID() ?? '';
    if (seen.has(oid)) return `has the extension ${oid} twice`;
    seen.add(oid);
    const isCritical = subs.length === 3 && subs[1]?.toBoolean() === true;
    if (isCritical && !KNOWN.has(oid)) return `has the unknown critical extension ${oid}`;
  }
  return undefined;
}
