import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '@lkt/oci';
import type { TestSigstore } from '@lkt/testing';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry } from '../src/evidence/collect.ts';
import { pushSignatures } from '../src/evidence/push.ts';
import { signImage } from '../src/signing/sign.ts';
import { verifyImage } from '../src/verify/verify.ts';
import {
  keyless,
  newImage,
  newKey,
  type Place,
  place,
  run,
  sigstore,
  temporary,
} from './support.ts';

/** Who has to have signed, as containers-policy.json(5) has it. */
type Requirement = Readonly<Record<string, unknown>>;

/** How skopeo, podman and CRI-O are told whose signatures they need (containers-policy.json(5)). */
async function policy({ server, reference }: Place, by: Requirement): Promise<readonly string[]> {
  const directory = await temporary();
  const [repository = ''] = reference.split('@');
  const signed = { type: 'sigstoreSigned', ...by, signedIdentity: { type: 'matchRepository' } };
  const file = join(directory, 'policy.json');
  const transports = { docker: { [repository]: [signed] } };
  await writeFile(file, JSON.stringify({ default: [{ type: 'reject' }], transports }));
  const registries = join(directory, 'registries.d');
  await mkdir(registries);
  const attachments = { [server.host]: { 'use-sigstore-attachments': true } };
  await writeFile(join(registries, 'test.yaml'), JSON.stringify({ docker: attachments }));
  return ['--policy', file, '--registries.d', registries];
}

function byKey(directory: string): Requirement {
  return { keyPath: join(directory, 'cosign.pub') };
}

function byIdentity(
  { directory }: TestSigstore,
  oidcIssuer: string,
  subjectEmail: string,
): Requirement {
  return {
    fulcio: { caPath: join(directory, 'fulcio.pem'), oidcIssuer, subjectEmail },
    rekorPublicKeyPath: join(directory, 'rekor.pub'),
  };
}

async function pull(there: Place, by: Requirement, reference = there.reference): Promise<string> {
  const options = [...(await policy(there, by)), 'copy', '--src-tls-verify=false'];
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
      expect(await pull(there, byKey(directory))).toMatch(/A signature was required/);
      await signImage(store, { subject, name, signer });
      await pushSignatures(registry, store, name, subject.digest);
      expect(await pull(there, byKey(directory))).toBe('taken');
      expect(await pull(there, byKey(directory), `${server.host}/app:1`)).toBe('taken');
      expect(await pull(there, byKey((await newKey()).directory))).toMatch(/verif/);
      const other = await newImage(store);
      await registry.pushImage(store, other, { ...name, tag: '2' });
      expect(await pull(there, byKey(directory), `${server.host}/app:2`)).toMatch(
        /signature was required/,
      );
      // Put beside another image, it is of another image.
      const { manifests, tags } = server.storage.repository('app');
      tags.set(signatureTag(other), tags.get(signatureTag(subject)) ?? '');
      expect(manifests.size).toBeGreaterThan(0);
      expect(await pull(there, byKey(directory), `${server.host}/app:2`)).toMatch(/digest/i);
    },
  );

  it(
    'takes by its policy what lkt signs without a key, of that person alone',
    { timeout: 120_000 },
    async () => {
      const there = await place();
      const { store, subject, name, registry } = there;
      const instance = await sigstore();
      const jane = 'jane@example.org';
      const { url } = instance.issuer;
      const { signer } = await keyless(instance, { subject: jane });
      await signImage(store, { subject, name, signer });
      await pushSignatures(registry, store, name, subject.digest);
      expect(await pull(there, byIdentity(instance, url, jane))).toBe('taken');
      const other = await sigstore();
      for (const [by, why] of [
        [byIdentity(instance, url, 'joe@example.org'), /email/i],
        [byIdentity(instance, 'https://other.example', jane), /issuer/i],
        [byIdentity(other, url, jane), /certificate|authority|SET|verif/i],
      ] as const)
        expect(await pull(there, by)).toMatch(why);
    },
  );

  it('signs what lkt accepts', async () => {
    const there = await place();
    const { registry, name, subject, reference, server } = there;
    const { trust, directory } = await newKey();
    const passphrase = join(directory, 'passphrase');
    await writeFile(passphrase, '\n');
    const [, , ...registries] = await policy(there, byKey(directory));
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
