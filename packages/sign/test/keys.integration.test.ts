import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generateKey, readPublicKey, readSigningKey } from '../src/keys/keys.ts';
import { temporary } from './support.ts';

function cosign(cwd: string, password: string, ...args: readonly string[]): string {
  const env = { PATH: process.env['PATH'], HOME: cwd, COSIGN_PASSWORD: password };
  return execFileSync('cosign', args, { cwd, env, encoding: 'utf8', stdio: 'pipe' });
}

describe('keys', () => {
  it.each(['ecdsa', 'ed25519'] as const)('made by lkt are read by cosign: %s', async (type) => {
    const directory = await temporary();
    const pair = await generateKey('sesame', type);
    await writeFile(join(directory, 'cosign.key'), pair.privateKey);
    expect(cosign(directory, 'sesame', 'public-key', '--key', 'cosign.key').trim()).toBe(
      pair.publicKey.trim(),
    );
    const read = await readSigningKey(pair.privateKey, { password: 'sesame' });
    const { fingerprint } = await readPublicKey(pair.publicKey);
    expect(read.publicKey.fingerprint).toBe(fingerprint);
  });

  it.each(['', 'pässword'])(
    'that cosign makes are read by lkt, password "%s"',
    async (password) => {
      const directory = await temporary();
      cosign(directory, password, 'generate-key-pair');
      const path = join(directory, 'cosign.key');
      const asked: string[] = [];
      const read = await readSigningKey(path, {
        password: async (name) => {
          asked.push(name);
          return password;
        },
      });
      expect(asked).toEqual([path]);
      const { fingerprint, name } = await readPublicKey(join(directory, 'cosign.pub'));
      expect(read.publicKey.fingerprint).toBe(fingerprint);
      expect(name).toBe(join(directory, 'cosign.pub'));
      const env = { KEY: await readFile(path, 'utf8') };
      expect((await readSigningKey('env://KEY', { password, env })).publicKey.fingerprint).toBe(
        fingerprint,
      );
    },
  );

  it.each([
    ['its point compressed', ['ec', '-pubin', '-conv_form', 'compressed', '-pubout']],
    ['its point hybrid', ['ec', '-pubin', '-conv_form', 'hybrid', '-pubout']],
    ['its curve spelled out', ['ec', '-pubin', '-param_enc', 'explicit', '-pubout']],
  ])('are the same, and one signer, with %s', async (_what, args) => {
    const { publicKey } = await generateKey('');
    const other = execFileSync('openssl', args, {
      input: publicKey,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    expect(other).not.toBe(publicKey);
    const { fingerprint } = await readPublicKey(publicKey);
    expect((await readPublicKey(other)).fingerprint).toBe(fingerprint);
  });
});
