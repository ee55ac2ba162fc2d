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

/** A key that signatures are checked with. */
export interface PublicKey {
  readonly key: KeyObject;
  /** sha256 of the SubjectPublicKeyInfo: what a key is told apart by. */
  readonly fingerprint: Digest;
  /** Where it came from, for people: a path, `env://NAME`, or nothing better than its fingerprint. */
  readonly name: string;
}

/** A key that signs. It never leaves the process. */
export interface SigningKey {
  readonly key: KeyObject;
  readonly publicKey: PublicKey;
}

export interface KeyOptions {
  /** What a path is relative to; default: the directory of the process. Messages have the path as it was given. */
  readonly cwd?: string;
  /** Where `env://NAME` is looked up. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface SigningKeyOptions extends KeyOptions {
  /** For keys that are encrypted; asked for only then. `name` is that of the key. */
  readonly password?: string | ((name: string) => Promise<string>);
}

/** Files of keys have some hundred bytes. */
const MAX_KEY = 64 * 1024;

/**
 * A new ECDSA key on P-256, which is what every program that knows Sigstore can use.
 * @returns the private key as `cosign.key` has it, encrypted with the password (which may be empty), and `cosign.pub`
 */
export async function generateKey(
  password: string,
): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const pair = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const pkcs8 = pair.privateKey.export({ type: 'pkcs8', format: 'der' });
  const privateKey = await encryptKey(pkcs8, password);
  pkcs8.fill(0);
  return {
    privateKey,
    publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/**
 * Reads a key to sign with: `cosign.key`, or an unencrypted PKCS 8, SEC 1 or PKCS 1 key in PEM form.
 * @param source a path, `env://NAME`, or the text of the key itself
 * @throws LktError KEY_INVALID (no key, a wrong password, a weak or unknown kind of key), NOT_FOUND, IO_FAILED
 */
export async function readSigningKey(
  source: string,
  options: SigningKeyOptions = {},
): Promise<SigningKey> {
  const { text, name } = await readSource(source, options);
  // Curve parameters come first in what openssl writes.
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
 * Reads a key to check signatures with, in PEM form (SubjectPublicKeyInfo).
 * @param source a path, `env://NAME`, or the text of the key itself
 * @throws LktError KEY_INVALID, NOT_FOUND, IO_FAILED
 */
export async function readPublicKey(source: string, options: KeyOptions = {}): Promise<PublicKey> {
  const { text, name } = await readSource(source, options);
  const { label, content } = onePemBlock(text, name);
  if (label.endsWith('PRIVATE KEY'))
    throw new LktError('KEY_INVALID', `${name} is a private key`, {
      fix: 'name the public key that belongs to it, such as cosign.pub',
    });
  if (label !== 'PUBLIC KEY')
    throw new LktError('KEY_INVALID', `${name} is no public key, but "${label}"`);
  return describePublicKey(
    reading(name, () => createPublicKey({ key: content, format: 'der', type: 'spki' })),
    name,
  );
}

/** @throws LktError KEY_INVALID for keys that are too weak, or of a kind that Sigstore has not */
function describePublicKey(given: KeyObject, name: string): PublicKey {
  const problem = weakness(given);
  if (problem !== undefined)
    throw new LktError('KEY_INVALID', `${name} is ${problem}`, {
      fix: 'use an ECDSA key on P-256, as `lkt key generate` makes',
    });
  const key = inItsOneForm(given);
  const spki = key.export({ type: 'spki', format: 'der' });
  const fingerprint = `sha256:${createHash('sha256').update(spki).digest('hex')}` as Digest;
  return { key, fingerprint, name };
}

/**
 * OpenSSL writes a key as it read it: its point compressed, its curve spelled out. Nobody is to count twice for having
 * written one key in two ways.
 */
function inItsOneForm(key: KeyObject): KeyObject {
  return createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' });
}

function weakness({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined {
  // Ed25519 has no signature over a digest, which is what a log takes of the form that cosign 2 reads.
  if (asymmetricKeyType === 'ec') {
    const curve = asymmetricKeyDetails?.namedCurve ?? '';
    const isKnown = ['prime256v1', 'secp384r1', 'secp521r1'].includes(curve);
    return isKnown ? undefined : `a key on the curve ${curve}`;
  }
  if (asymmetricKeyType === 'rsa') {
    const bits = asymmetricKeyDetails?.modulusLength ?? 0;
    return bits >= 2048 ? undefined : `an RSA key of ${bits} bits, which is too short`;
  }
  return `a key of type ${asymmetricKeyType}, which signs nothing here`;
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
    throw new LktError('UNSUPPORTED', `${name} is encrypted in the way of PKCS 8`, {
      fix: 'import it with `cosign import-key-pair`',
    });
  if (!label.endsWith('PRIVATE KEY'))
    throw new LktError('KEY_INVALID', `${name} is no private key, but "${label}"`);
  return reading(name, () => createPrivateKey(text));
}

function reading(name: string, read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch {
    // What OpenSSL says may quote the key, and helps nobody.
    throw new LktError('KEY_INVALID', `${name} cannot be read as a key`);
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
    if (bytes.length > MAX_KEY)
      throw new LktError('KEY_INVALID', `${source} is too long for a key`);
    return { text: bytes.toString(), name: source };
  } catch (error) {
    if (isErrno(error, 'ENOENT'))
      throw new LktError('NOT_FOUND', `there is no key at ${source}`, { cause: error });
    if (error instanceof LktError || !isErrno(error, 'EACCES', 'EISDIR', 'EPERM')) throw error;
    throw new LktError('IO_FAILED', `cannot read the key ${source}`, { cause: error });
  }
}
