import { randomBytes, scrypt } from 'node:crypto';
import { LktError } from '@lkt/core';
import { toPem } from './pem.ts';

/**
 * Bytes. scrypt's parameters are unauthenticated until the key is derived, so they must not demand
 * all memory. cosign writes N 65536 and r 8, which need 64 MiB.
 */
const MAX_MEMORY_BYTES = 256 * 2 ** 20;
const MAX_PARALLEL = 4;

const COST = { N: 65_536, r: 8, p: 1 };
const KEY_BYTES = 32;
const NONCE_BYTES = 24;

interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

interface Envelope {
  readonly kdf: { readonly name: string; readonly params: Cost; readonly salt: string };
  readonly cipher: { readonly name: string; readonly nonce: string };
  readonly ciphertext: string;
}

/** Reports whether a PEM label is that of a `cosign.key`, of old or new cosign versions. */
export function isEncryptedLabel(label: string): boolean {
  return label === 'ENCRYPTED SIGSTORE PRIVATE KEY' || label === 'ENCRYPTED COSIGN PRIVATE KEY';
}

/**
 * Encrypts a PKCS 8 key in the form of `cosign.key`: scrypt, then NaCl's secretbox, as JSON in PEM.
 */
export async function encryptKey(pkcs8: Uint8Array, password: string): Promise<string> {
  const { xsalsa20poly1305 } = await import('@noble/ciphers/salsa.js');
  const salt = randomBytes(KEY_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const key = await derive(password, salt, COST);
  const envelope: Envelope = {
    kdf: { name: 'scrypt', params: COST, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: Buffer.from(xsalsa20poly1305(key, nonce).encrypt(pkcs8)).toString('base64'),
  };
  return toPem('ENCRYPTED SIGSTORE PRIVATE KEY', Buffer.from(JSON.stringify(envelope)));
}

/**
 * Decrypts a key in the form of `cosign.key`.
 * @returns PKCS 8
 * @throws KEY_INVALID, also for a wrong password; UNSUPPORTED
 */
export async function decryptKey(content: Buffer, password: string, name: string): Promise<Buffer> {
  const { kdf, cipher, ciphertext } = parseEnvelope(content, name);
  if (kdf.name !== 'scrypt' || cipher.name !== 'nacl/secretbox')
    throw new LktError('UNSUPPORTED', `${name} is encrypted with ${kdf.name} and ${cipher.name}`);
  const { N, r, p } = kdf.params;
  const isPower = Number.isSafeInteger(N) && N > 1 && Number.isInteger(Math.log2(N));
  const isSane =
    isPower &&
    isBetween(r, 1, 1024) &&
    isBetween(p, 1, MAX_PARALLEL) &&
    128 * N * r <= MAX_MEMORY_BYTES;
  if (!isSane)
    throw new LktError(
      'KEY_INVALID',
      `${name} has unsupported scrypt parameters N=${N}, r=${r}, p=${p}`,
      {
        fix: 'make a key: lkt key generate',
      },
    );
  const nonce = Buffer.from(cipher.nonce, 'base64');
  if (nonce.length !== NONCE_BYTES)
    throw new LktError(
      'KEY_INVALID',
      `${name} has a nonce of ${nonce.length} bytes instead of ${NONCE_BYTES}`,
    );
  const { xsalsa20poly1305 } = await import('@noble/ciphers/salsa.js');
  const key = await derive(password, Buffer.from(kdf.salt, 'base64'), { N, r, p });
  try {
    return Buffer.from(xsalsa20poly1305(key, nonce).decrypt(Buffer.from(ciphertext, 'base64')));
  } catch {
    // Authenticated decryption does not distinguish the two.
    throw new LktError('KEY_INVALID', `the password for ${name} is wrong, or the file is damaged`);
  }
}

function isBetween(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

async function derive(password: string, salt: Buffer, { N, r, p }: Cost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { N, r, p, maxmem: 2 * MAX_MEMORY_BYTES };
    scrypt(password, salt, KEY_BYTES, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function parseEnvelope(content: Buffer, name: string): Envelope {
  try {
    const { kdf, cipher, ciphertext } = JSON.parse(content.toString()) as Envelope;
    const texts = [kdf.name, kdf.salt, cipher.name, cipher.nonce, ciphertext];
    const { N, r, p } = kdf.params;
    if (
      texts.every((text) => typeof text === 'string') &&
      [N, r, p].every((number) => typeof number === 'number')
    )
      return { kdf, cipher, ciphertext };
  } catch {
    // The parser's message would quote the key.
  }
  throw new LktError('KEY_INVALID', `${name} is not an encrypted key in cosign's format`);
}
