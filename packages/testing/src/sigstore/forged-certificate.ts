import { generateKeyPairSync, type KeyPairKeyObjectResult, sign } from 'node:crypto';
import { der, integer, objectId, sequence, utcTime } from './der.ts';

const BOOLEAN_TRUE = Buffer.of(0x01, 0x01, 0xff);
const MINUTE = 60_000;

/** A certificate with its key. */
export interface ForgedCertificate {
  readonly der: Buffer;
  readonly name: string;
  readonly keys: KeyPairKeyObjectResult;
}

/** The parts of a certificate. */
export interface CertificateParts {
  /** Common name of the subject. */
  readonly name: string;
  /** Common name of the issuer; default: the issuer's. */
  readonly issuerName?: string;
  readonly keys?: KeyPairKeyObjectResult;
  /** Serial number; default 1. */
  readonly serial?: number;
  /** Start and end in minutes from now; default -1 and 10. */
  readonly minutes?: readonly [number, number];
  /** DER of the extensions, by a name of the test; it lacks those that are undefined. */
  readonly extensions: Readonly<Record<string, Buffer | undefined>>;
  /** Algorithm that the outer part states; default: that of the signature. */
  readonly outerAlgorithm?: string;
  /** Hash of the signature; default sha256. */
  readonly hash?: 'sha1' | 'sha256';
}

const ALGORITHMS = { sha1: '1.2.840.10045.4.1', sha256: '1.2.840.10045.4.3.2' } as const;

/** Makes a certificate without checking that it makes sense; without an issuer, self-signed. */
export function forgeCertificate(
  parts: CertificateParts,
  issuer?: ForgedCertificate,
): ForgedCertificate {
  const { name, keys = ecKeys(), hash = 'sha256' } = parts;
  const tbs = toBeSigned({ ...parts, keys }, issuer);
  const outer = parts.outerAlgorithm ?? ALGORITHMS[hash];
  const signature = sign(hash, tbs, (issuer?.keys ?? keys).privateKey);
  const whole = sequence(tbs, sequence(objectId(outer)), der(0x03, Buffer.of(0), signature));
  return { der: whole, name, keys };
}

/** Encodes the signed part of a certificate. */
export function toBeSigned(
  {
    name,
    issuerName,
    keys,
    serial = 1,
    minutes = [-1, 10],
    hash = 'sha256',
    extensions,
  }: CertificateParts & { readonly keys: KeyPairKeyObjectResult },
  issuer: ForgedCertificate | undefined,
): Buffer {
  const [from, to] = minutes.map((count) => utcTime(new Date(Date.now() + count * MINUTE)));
  if (from === undefined || to === undefined) throw new Error('no validity');
  const listed = Object.values(extensions).filter((item) => item !== undefined);
  return sequence(
    der(0xa0, integer(2)),
    integer(serial),
    sequence(objectId(ALGORITHMS[hash])),
    distinguishedName(issuerName ?? issuer?.name ?? name),
    sequence(from, to),
    distinguishedName(name),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    ...(listed.length === 0 ? [] : [der(0xa3, sequence(...listed))]),
  );
}

/** Generates a key on P-256. */
export function ecKeys(namedCurve = 'P-256'): KeyPairKeyObjectResult {
  return generateKeyPairSync('ec', { namedCurve });
}

function distinguishedName(common: string): Buffer {
  if (common === '') return sequence();
  const attribute = sequence(objectId('2.5.4.3'), der(0x0c, Buffer.from(common)));
  return sequence(der(0x31, attribute));
}

/** Encodes an extension of a certificate. */
export function extension(oid: string, value: Uint8Array, isCritical = false): Buffer {
  const critical = isCritical ? [BOOLEAN_TRUE] : [];
  return sequence(objectId(oid), ...critical, der(0x04, value));
}

/** Encodes basicConstraints of an authority, or of another certificate. */
export function basicConstraints(isAuthority: boolean, pathLength?: number): Buffer {
  const parts = isAuthority ? [BOOLEAN_TRUE] : [];
  const length = pathLength === undefined ? [] : [integer(pathLength)];
  return extension('2.5.29.19', sequence(...parts, ...length), true);
}

/** Encodes keyUsage with one of its bits: 0 digitalSignature, 5 keyCertSign. */
export function keyUsage(bit: number): Buffer {
  return extension('2.5.29.15', der(0x03, Buffer.of(7 - bit, 0x80 >> bit)), true);
}

/** Usages of `extendedKeyUsage`. */
export const Usage = {
  any: '2.5.29.37.0',
  server: '1.3.6.1.5.5.7.3.1',
  code: '1.3.6.1.5.5.7.3.3',
  email: '1.3.6.1.5.5.7.3.4',
  time: '1.3.6.1.5.5.7.3.8',
} as const;

/** Encodes extendedKeyUsage. */
export function extendedKeyUsage(usages: readonly string[], isCritical = false): Buffer {
  return extension('2.5.29.37', sequence(...usages.map(objectId)), isCritical);
}

/** Tags of names in subjectAltName. */
export const NameTag = { email: 0x81, dns: 0x82, uri: 0x86, address: 0x87 } as const;

/** Encodes subjectAltName with names in the given encoding of bytes. */
export function alternativeNames(
  names: readonly (readonly [keyof typeof NameTag, Uint8Array | string])[],
): Buffer {
  const encoded = names.map(([type, value]) => der(NameTag[type], Buffer.from(value as string)));
  return extension('2.5.29.17', sequence(...encoded), true);
}
