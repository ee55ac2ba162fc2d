import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Digest, isErrno, LktError } from '@lkt/core';
import { decryptKey, encryptKey, isEncryptedLabel } from './encrypted-key.ts';
import { onePemBlock } from './pem.ts';

/** A key that verifies signatures. */
export interface PublicKey {
  readonly key: KeyObject;
  /** SHA-256 of the SubjectPublicKeyInfo; identifies the key. */
  readonly fingerprint: Digest;
  /** Origin of the key, for messages: a path, `env://NAME` or "the key". */
  readonly name: string;
}

/** A private key. It never leaves the process. */
export interface SigningKey {
  readonly key: KeyObject;
  readonly publicKey: PublicKey;
}

/** Options to read keys. */
export interface KeyOptions {
  /**
   * Base directory for relative paths; default: the working directory. Messages show the path as
   * given.
   */
  readonly cwd?: string;
  /** Variables for `env://NAME`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Options to read signing keys. */
export interface SigningKeyOptions extends KeyOptions {
  /**
   * Password of an encrypted key; the function is called with the key's name, and only if the key
   * is encrypted.
   */
  readonly password?: string | ((name: string) => Promise<string>);
}

/** Bytes. Key files have some hundred bytes. */
const MAX_KEY_BYTES = 64 * 1024;

/** A type of key to generate: ECDSA on P-256, which every Sigstore client supports, or Ed25519. */
export type KeyType = 'ecdsa' | 'ed25519';

/**
 * Generates a key.
 * @param password may be empty
 * @returns the private key in the form of `cosign.key`, encrypted with the password, and the public
 * key in PEM
 */
export async function generateKey(
  password: string,
  type: KeyType = 'ecdsa',
): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const pair =
    type === 'ed25519'
      ? await promisify(generateKeyPair)('ed25519')
      : await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const pkcs8 = pair.privateKey.export({ type: 'pkcs8', format: 'der' });
  const privateKey = await encryptKey(pkcs8, password);
  pkcs8.fill(0);
  return {
    privateKey,
    publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/**
 * Reads a signing key: `cosign.key`, or an unencrypted PKCS 8, SEC 1 or PKCS 1 key in PEM form.
 * @param source a path, `env://NAME`, or the text of the key itself
 * @throws KEY_INVALID (not a key, wrong password, weak or unsupported key), UNSUPPORTED, NOT_FOUND,
 * IO_FAILED
 * @example
 * ```ts
 * const key = await readSigningKey('env://COSIGN_KEY', { env, password: env['COSIGN_PASSWORD'] });
 * const signer = keySigner(key);
 * ```
 */
export async function readSigningKey(
  source: string,
  options: SigningKeyOptions = {},
): Promise<SigningKey> {
  const { text, name } = await readSource(source, options);
  // openssl writes the curve parameters first.
  const { label, content } = onePemBlock(
    text.replace(/-----BEGIN EC PARAMETERS-----[^-]*-----END EC PARAMETERS-----/, ''),
    name,
  );
  const key = isEncryptedLabel(label)
    ? await decrypted(content, name, options)
    : plainKey(text, label, name);
  return { key, publicKey: describePublicKey(createPublicKey(key), name) };
}

/**
 * Reads a public key in PEM form (SubjectPublicKeyInfo).
 * @param source a path, `env://NAME`, or the text of the key itself
 * @throws KEY_INVALID, NOT_FOUND, IO_FAILED
 */
export async function readPublicKey(source: string, options: KeyOptions = {}): Promise<PublicKey> {
  const { text, name } = await readSource(source, options);
  const { label, content } = onePemBlock(text, name);
  if (label.endsWith('PRIVATE KEY'))
    throw new LktError('KEY_INVALID', `${name} is a private key`, {
      fix: 'pass its public key, such as cosign.pub',
    });
  if (label !== 'PUBLIC KEY')
    throw new LktError('KEY_INVALID', `${name} is not a public key, but "${label}"`);
  return describePublicKey(
    reading(name, () => createPublicKey({ key: content, format: 'der', type: 'spki' })),
    name,
  );
}

/**
 * Returns the hash of the signatures by a key: SHA-256, or null for Ed25519 (RFC 8032), which signs
 * the message itself.
 */
export function signatureHash({ asymmetricKeyType }: KeyObject): 'sha256' | null {
  return asymmetricKeyType === 'ed25519' ? null : 'sha256';
}

/** @throws KEY_INVALID for a weak key, or a type that Sigstore does not support */
function describePublicKey(given: KeyObject, name: string): PublicKey {
  const problem = weakness(given);
  if (problem !== undefined)
    throw new LktError('KEY_INVALID', `${name} is ${problem}`, {
      fix: 'make an ECDSA key on P-256 with `lkt key generate`',
    });
  const key = canonicalKey(given);
  const spki = key.export({ type: 'spki', format: 'der' });
  const fingerprint = `sha256:${createHash('sha256').update(spki).digest('hex')}` as Digest;
  return { key, fingerprint, name };
}

/**
 * Returns the key in canonical form. OpenSSL re-encodes a key as it was read, with a compressed
 * point or an explicit curve; one key must not count as two signers.
 */
function canonicalKey(key: KeyObject): KeyObject {
  return createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' });
}

/** Returns why a key is too weak, or of a type that Sigstore does not support. */
export function weakness({
  asymmetricKeyType,
  asymmetricKeyDetails,
}: KeyObject): string | undefined {
  if (asymmetricKeyType === 'ed25519') return undefined;
  if (asymmetricKeyType === 'ec') {
    const curve = asymmetricKeyDetails?.namedCurve ?? '';
    const isKnown = ['prime256v1', 'secp384r1', 'secp521r1'].includes(curve);
    return isKnown ? undefined : `a key on the unsupported curve ${curve}`;
  }
  if (asymmetricKeyType === 'rsa') {
    const bits = asymmetricKeyDetails?.modulusLength ?? 0;
    return bits >= 2048 ? undefined : `an RSA key of ${bits} bits; the minimum is 2048`;
  }
  return `a key of the unsupported type ${asymmetricKeyType}`;
}

async function decrypted(
  content: Buffer,
  name: string,
  { password = '' }: SigningKeyOptions,
): Promise<KeyObject> {
  const given = typeof password === 'string' ? password : await password(name);
  const pkcs8 = await decryptKey(content, given, name);
  const key = reading(name, () => createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
  pkcs8.fill(0);
  return key;
}

function plainKey(text: string, label: string, name: string): KeyObject {
  if (label === 'ENCRYPTED PRIVATE KEY')
    throw new LktError('UNSUPPORTED', `${name} is an encrypted PKCS 8 key`, {
      fix: 'import it with `cosign import-key-pair`',
    });
  if (!label.endsWith('PRIVATE KEY'))
    throw new LktError('KEY_INVALID', `${name} is not a private key, but "${label}"`, {
      fix: 'name the private key of the pair; lkt key generate makes one',
    });
  return reading(name, () => createPrivateKey(text));
}

function reading(name: string, read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    // OpenSSL's message may quote the key.
    throw new LktError('KEY_INVALID', `cannot parse the key ${name}`);
  }
}

async function readSource(
  source: string,
  { env = {}, cwd = '.' }: KeyOptions,
): Promise<{ text: string; name: string }> {
  if (source.includes('-----BEGIN ')) return { text: source, name: 'the key' };
  if (source.startsWith('env://')) {
    const text = env[source.slice('env://'.length)];
    if (text !== undefined && text !== '') return { text, name: source };
    throw new LktError('NOT_FOUND', `${source} is not set`, {
      fix: 'set the variable to the text of the key',
    });
  }
  try {
    const bytes = await readFile(resolve(cwd, source));
    if (bytes.length > MAX_KEY_BYTES)
      throw new LktError('KEY_INVALID', `${source} is too large for a key`);
    return { text: bytes.toString(), name: source };
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new LktError('NOT_FOUND', `there is no key file ${source}`, {
        cause: error,
        fix: 'correct the path, or make a key: lkt key generate',
      });
    if (error instanceof LktError || !isErrno(error, 'EACCES', 'EISDIR', 'EPERM')) throw error;
    throw new LktError('IO_FAILED', `cannot read the key ${source}`, { cause: error });
  }
}
