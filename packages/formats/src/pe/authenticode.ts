// Microsoft, "Windows Authenticode Portable Executable Signature Format", 2008; RFC 5652 (CMS)
import { createHash, createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { LktError } from '@lkt/core';
import {
  der,
  NULL,
  objectId,
  octets,
  readDer,
  sequence,
  set,
  smallInteger,
  tagged,
} from './der.ts';

/** A key and certificate for signing EFI programs, from `--uki-key` and `--uki-cert`. */
export interface EfiSigner {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
}

const SHA256 = sequence(objectId('2.16.840.1.101.3.4.2.1'), NULL);
const RSA = sequence(objectId('1.2.840.113549.1.1.1'), NULL);
const SIGNED_DATA = objectId('1.2.840.113549.1.7.2');
const CONTENT_TYPE = objectId('1.2.840.113549.1.9.3');
const MESSAGE_DIGEST = objectId('1.2.840.113549.1.9.4');
const SPC_INDIRECT_DATA = objectId('1.3.6.1.4.1.311.2.1.4');
const SPC_PE_IMAGE_DATA = objectId('1.3.6.1.4.1.311.2.1.15');

/**
 * Parses a key and its certificate, both in PEM.
 * @throws KEY_INVALID for an invalid, encrypted or non-RSA key, or a certificate of another key
 */
export function efiSigner(
  key: { readonly name: string; readonly text: string },
  certificate: { readonly name: string; readonly text: string },
): EfiSigner {
  const signer = {
    key: readKey(key.name, key.text),
    certificate: readCertificate(certificate.name, certificate.text),
  };
  if (signer.key.asymmetricKeyType !== 'rsa')
    throw new LktError('KEY_INVALID', `${key.name} is not an RSA key`, {
      fix: 'use an RSA key: most firmware supports no other',
    });
  if (!signer.certificate.checkPrivateKey(signer.key))
    throw new LktError('KEY_INVALID', `${certificate.name} is not the certificate of ${key.name}`);
  return signer;
}

function readKey(name: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    const isEncrypted = text.includes('ENCRYPTED');
    throw new LktError(
      'KEY_INVALID',
      isEncrypted ? `${name} is encrypted` : `${name} is not a PEM private key`,
      {
        fix: isEncrypted ? `decrypt it: openssl pkey -in ${name} -out PLAIN.key` : undefined,
        cause: error,
      },
    );
  }
}

function readCertificate(name: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new LktError('KEY_INVALID', `${name} is not a PEM certificate`, { cause: error });
  }
}

/**
 * Returns the signature of an EFI program: PKCS #7 SignedData of its digest (Windows Authenticode
 * Portable Executable Signature Format, 2008). It contains no time, and its length depends only on
 * the signer.
 */
export function signPe(digest: Uint8Array, { key, certificate }: EfiSigner): Buffer {
  // No flags, and an empty link to a file.
  const peImage = sequence(der(0x03, Buffer.of(0)), tagged(0, tagged(2, der(0x80))));
  const indirect = sequence(sequence(SPC_PE_IMAGE_DATA, peImage), sequence(SHA256, octets(digest)));
  const { content } = readDer(indirect);
  const attributes = [
    sequence(CONTENT_TYPE, set(SPC_INDIRECT_DATA)),
    sequence(MESSAGE_DIGEST, set(octets(createHash('sha256').update(content).digest()))),
  ];
  const signer = sequence(
    smallInteger(1),
    issuerAndSerial(certificate.raw),
    SHA256,
    tagged(0, ...attributes),
    RSA,
    octets(sign('sha256', set(...attributes), key)),
  );
  return sequence(
    SIGNED_DATA,
    tagged(
      0,
      sequence(
        smallInteger(1),
        set(SHA256),
        sequence(SPC_INDIRECT_DATA, tagged(0, indirect)),
        tagged(0, certificate.raw),
        set(signer),
      ),
    ),
  );
}

/** Returns the identification of a certificate in a signature (RFC 5652 §10.2.4, RFC 5280 §4.1). */
function issuerAndSerial(certificate: Buffer): Buffer {
  const toBeSigned = readDer(readDer(certificate).content).content;
  const first = readDer(toBeSigned);
  const serial = first.tag === 0xa0 ? readDer(first.rest) : first;
  const algorithm = readDer(serial.rest);
  return sequence(readDer(algorithm.rest).whole, serial.whole);
}
