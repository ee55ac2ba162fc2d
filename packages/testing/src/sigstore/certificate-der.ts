import { type KeyObject, sign } from 'node:crypto';

/** DER of a critical subjectAltName (RFC 5280, 4.2.1.6), up to its value. */
const ALTERNATIVE_NAME = Buffer.from('0603551d110101ff', 'hex');
const RFC822_NAME = 0x81;

/**
 * Turns an email address in a certificate's subjectAltName from a URI into an rfc822Name, as Fulcio
 * writes it;
 * @sigstore/mock makes a URI of every name. Leaves other names unchanged. The length stays the
 * same, but the signature is no longer valid.
 */
export function withEmailName(certificate: Buffer): Buffer {
  const start = certificate.indexOf(ALTERNATIVE_NAME) + ALTERNATIVE_NAME.length;
  // OCTET STRING, SEQUENCE, and the name, each of less than 128 bytes.
  const tag = start + 4;
  const length = certificate[tag + 1] ?? 0;
  const name = certificate.toString('latin1', tag + 2, tag + 2 + length);
  if (!/^[^@:/]+@[^@:/]+$/.test(name)) return certificate;
  const changed = Buffer.from(certificate);
  changed[tag] = RFC822_NAME;
  return changed;
}

/** DER of a SubjectPublicKeyInfo for P-256 (RFC 5480), up to the point; the whole has 91 bytes. */
const P256_KEY = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
const P256_KEY_BYTES = 91;

/**
 * Replaces the public key of a certificate if it is one of `keys`, which has the replacement by the
 * hexadecimal key: @sigstore/mock certifies P-256 keys only. The signature is no longer valid.
 */
export function withPublicKey(certificate: Buffer, keys: ReadonlyMap<string, Buffer>): Buffer {
  const [, content] = element(certificate);
  const [, signed, rest] = element(content);
  const at = signed.indexOf(P256_KEY);
  const end = at + P256_KEY_BYTES;
  const key = keys.get(signed.toString('hex', at, end));
  if (at === -1 || key === undefined) return certificate;
  const changed = Buffer.concat([signed.subarray(0, at), key, signed.subarray(end)]);
  return wrapped(0x30, Buffer.concat([wrapped(0x30, changed), rest]));
}

/** Signs a certificate again, with ecdsa-with-SHA384. */
export function resign(key: KeyObject, certificate: Buffer): Buffer {
  const [, content] = element(certificate);
  const [signed, , rest] = element(content);
  const [algorithm] = element(rest);
  const signature = Buffer.concat([Buffer.of(0), sign('sha384', signed, key)]);
  return wrapped(0x30, Buffer.concat([signed, algorithm, wrapped(0x03, signature)]));
}

/** Splits DER into its first element, the content of that, and the rest. */
function element(der: Buffer): readonly [Buffer, Buffer, Buffer] {
  const first = der[1] ?? 0;
  const count = first < 0x80 ? 0 : first - 0x80;
  const length = count === 0 ? first : der.readUIntBE(2, count);
  const start = 2 + count;
  const end = start + length;
  return [der.subarray(0, end), der.subarray(start, end), der.subarray(end)];
}

function wrapped(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const header = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}
