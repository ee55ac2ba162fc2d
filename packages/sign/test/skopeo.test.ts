import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry } from '../src/collect.ts';
import { pushSignatures } from '../src/push.ts';
import { signImage } from '../src/sign.ts';
import { verifyImage } from '../src/verify.ts';
import { newImage, newKey, type Place, place, run, temporary } from './support.ts';

/** How skopeo, podman and CRI-O are told whose signatures they need (containers-policy.json(5)). */
async function policy({ server, reference }: Place, key: string): Promise<readonly string[]> {
  const directory = await temporary();
  const [repository = ''] = reference.split('@');
  const signed = {
    type: 'sigstoreSigned',
    keyPath: join(key, 'cosign.pub'),
    signedIdentity: { type: 'matchRepository' },
  };
  const file = join(directory, 'policy.json');
  const transports = { docker: { [repository]: [signed] } };
  await writeFile(file, JSON.stringify({ default: [{ type: 'reject' }], transports }));
  const registries = join(directory, 'registries.d');
  await mkdir(registries);
  const attachments = { [server.host]: { 'use-sigstore-attachments': true } };
  await writeFile(join(registries, 'test.yaml'), JSON.stringify({ docker: attachments }));
  return ['--policy', file, '--registries.d', registries];
}

async function pull(there: Place, key: string, reference = there.reference): Promise<string> {
  const options = [...(await policy(there, key)), 'copy', '--src-tls-verify=false'];
  const target = `dir:${join(await temporary(), 'image')}`;
  const { status, output } = await run('skopeo', [...options, `docker://${reference}`, target]);
  return status === 0 ? 'taken' : output;
}

function signatureTag({ digest }: Descriptor): string {
  return `${digest.replace(':', '-')}.sig`;
}

describe('skopeo', () => {
  it(
    'takes by its policy what lkt signs with the key, and nothing else',
    { timeout: 120_000 },
    async () => {
      const there = await place();
      const { store, subject, name, registry, server } = there;
      const { signer, directory } = await newKey();
      expect(await pull(there, directory)).toMatch(/A signature was required/);
      await signImage(store, { subject, name, signer });
      await pushSignatures(registry, store, name, subject.digest);
      expect(await pull(there, directory)).toBe('taken');
      expect(await pull(there, directory, `${server.host}/app:1`)).toBe('taken');
      expect(await pull(there, (await newKey()).directory)).toMatch(/verif/);
      const other = await newImage(store);
      await registry.pushImage(store, other, { ...name, tag: '2' });
      expect(await pull(there, directory, `${server.host}/app:2`)).toMatch(
        /signature was required/,
      );
      // Put beside another image, it is of another image.
      const { manifests, tags } = server.storage.repository('app');
      tags.set(signatureTag(other), tags.get(signatureTag(subject)) ?? '');
      expect(manifests.size).toBeGreaterThan(0);
      expect(await pull(there, directory, `${server.host}/app:2`)).toMatch(/digest/i);
    },
  );

  it('signs what lkt accepts', async () => {
    const there = await place();
    const { registry, name, subject, reference, server } = there;
    const { trust, directory } = await newKey();
    const passphrase = join(directory, 'passphrase');
    await writeFile(passphrase, '\n');
    const [, , ...registries] = await policy(there, directory);
    const tls = ['--src-tls-verify=false', '--dest-tls-verify=false'];
    const key = ['--sign-by-sigstore-private-key', join(directory, 'cosign.key')];
    const sign = [...key, '--sign-passphrase-file', passphrase, '--preserve-digests'];
    const target = `docker://${server.host}/app:signed`;
    const done = await run('skopeo', [
      '--insecure-policy',
      ...registries,
      'copy',
      ...tls,
      ...sign,
      `docker://${reference}`,
      target,
    ]);
    expect(done).toMatchObject({ status: 0 });
    const { digest } = subject;
    const evidence = await collectFromRegistry(registry, { ...name, digest });
    const { signatures, rejections } = await verifyImage({ subject: digest, evidence, trust });
    expect(rejections).toEqual([]);
    expect(signatures).toMatchObject([{ signer: { kind: 'key' } }]);
    const other = await newKey();
    const refused = await verifyImage({ subject: digest, evidence, trust: other.trust });
    expect(refused.signatures).toEqual([]);
    expect(refused.rejections[0]?.reason).toMatch(/key that is not trusted|key that is trusted/);
  });
});
