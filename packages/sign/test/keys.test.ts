import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { generateKey, readPublicKey, readSigningKey } from '../src/keys/keys.ts';
import { onePemBlock, toPem } from '../src/keys/pem.ts';

describe('keys', () => {
  it.each(['pkcs8', 'sec1'] as const)('in PEM form are read (%s)', async (type) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type, format: 'pem' }).toString();
    const { key } = await readSigningKey(pem);
    expect(key.equals(privateKey)).toBe(true);
  });

  it('of Ed25519 are generated, and read in either form', async () => {
    const pair = await generateKey('sesame', 'ed25519');
    const { key, publicKey } = await readSigningKey(pair.privateKey, { password: 'sesame' });
    expect(key.asymmetricKeyType).toBe('ed25519');
    expect(publicKey.fingerprint).toBe((await readPublicKey(pair.publicKey)).fingerprint);
    const plain = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect((await readSigningKey(plain)).publicKey.fingerprint).toBe(publicKey.fingerprint);
  });

  it('are read from the block that RFC 7468 allows, although OpenSSL would accept another', async () => {
    const [first, second] = [await generateKey(''), await generateKey('')];
    // RFC 7468 has no headers; OpenSSL accepts them.
    const odd = first.publicKey.replace('-----\n', '-----\nProc-Type: none\n\n');
    const { fingerprint } = await readPublicKey(second.publicKey);
    expect((await readPublicKey(`${odd}${second.publicKey}`)).fingerprint).toBe(fingerprint);
  });

  it('are rejected with a wrong password, without quoting them', async () => {
    const { privateKey } = await generateKey('right');
    const error = await readSigningKey(privateKey, { password: 'wrong' }).catch(String);
    expect(error).toContain('the password for the key is wrong');
    expect(error).not.toContain('wrong"');
  });

  it.each([
    ['N', { N: 2 ** 24, r: 8, p: 1 }],
    ['r', { N: 2 ** 14, r: 2 ** 20, p: 1 }],
    ['p', { N: 2 ** 14, r: 8, p: 2 ** 20 }],
    ['no power of two', { N: 65_535, r: 8, p: 1 }],
    ['a fraction', { N: 65_536, r: 8.5, p: 1 }],
  ])('are rejected if scrypt would take all memory or time (%s)', async (_what, params) => {
    const { privateKey } = await generateKey('');
    const { label, content } = onePemBlock(privateKey, 'key');
    const document = JSON.parse(content.toString()) as { kdf: object };
    document.kdf = { ...document.kdf, params };
    const pem = toPem(label, Buffer.from(JSON.stringify(document)));
    await expect(readSigningKey(pem)).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringContaining('unsupported scrypt parameters') as string,
    });
  });

  it.each<[string, string, RegExp]>([
    ['an unsupported curve', ec('secp256k1'), /on the unsupported curve secp256k1/],
    ['Ed448', spki(generateKeyPairSync('ed448').publicKey), /unsupported type ed448/],
    ['X25519', spki(generateKeyPairSync('x25519').publicKey), /unsupported type x25519/],
    ['a short RSA key', rsa(1024), /1024 bits/],
    ['nothing', 'nothing -----BEGIN ', /no key/],
    ['two keys', ec('P-256') + ec('P-256'), /more than one/],
    ['damage', toPem('PUBLIC KEY', Buffer.from('x')), /cannot parse/],
    ['a private key', toPem('PRIVATE KEY', Buffer.from('x')), /is a private key/],
  ])('are rejected as public keys: %s', async (_what, pem, message) => {
    await expect(readPublicKey(pem)).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringMatching(message) as string,
    });
  });

  it('are named if they do not exist', async () => {
    await expect(readPublicKey('/nowhere/cosign.pub')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'there is no key file /nowhere/cosign.pub',
    });
    await expect(readSigningKey('env://NO_KEY')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

function ec(namedCurve: string): string {
  return spki(generateKeyPairSync('ec', { namedCurve }).publicKey);
}

function rsa(modulusLength: number): string {
  return spki(generateKeyPairSync('rsa', { modulusLength }).publicKey);
}

function spki(key: ReturnType<typeof generateKeyPairSync>['publicKey']): string {
  return (key as unknown as { export(options: object): string }).export({
    type: 'spki',
    format: 'pem',
  });
}
