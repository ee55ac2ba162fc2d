import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readSigningKey } from '../src/keys/keys.ts';
import { collectFromRegistry, collectFromStore } from '../src/referrers/collect-signatures.ts';
import { pushSignatures } from '../src/referrers/push-signatures.ts';
import { signImage } from '../src/signing/sign-images.ts';
import { keylessSigner, keySigner } from '../src/signing/signer.ts';
import { parseSigningConfig } from '../src/sigstore/signing-config.ts';
import { parseTrustedRoot } from '../src/sigstore/trusted-root.ts';
import { verifyImage } from '../src/verify/verify-image.ts';
import { createFixture, newKey, sigstore, WORKFLOW } from './support.ts';

const PROVENANCE = 'https://slsa.dev/provenance/v1';

describe('a log of Rekor 2', () => {
  it('has the signatures of an identity, with the time of an authority', async () => {
    const { store, subject, name, registry } = await createFixture();
    const { digest } = subject;
    const instance = await sigstore();
    const services = await parseSigningConfig(instance.signingConfig, 'config', new Date());
    expect(services.rekorVersion).toBe(2);
    const root = await parseTrustedRoot(instance.trustedRoot, 'root');
    const identity = instance.issuer.token(WORKFLOW);
    const signer = keylessSigner({ ...services, identity, root });
    const predicate = { buildDefinition: { buildType: 'https://x.example' } };
    const statements = [
      {
        _type: 'https://in-toto.io/Statement/v1',
        subject: [{ name: 'app', digest: { sha256: digest.slice('sha256:'.length) } }],
        predicateType: PROVENANCE,
        predicate,
      },
    ];
    const made = await signImage(store, { subject, name, statements, signer });
    expect(made).toMatchObject({ bundles: [{}, {}], simple: undefined });
    expect(instance.tiledLog.size).toBe(3);
    await pushSignatures(registry, store, name, digest);
    const collected = await collectFromRegistry(registry, { ...name, digest });
    const trust = { root, identities: [{ subject: WORKFLOW, issuer: instance.issuer.url }] };
    const { signatures, rejections } = await verifyImage({ subject: digest, collected, trust });
    // cosign 2 reads no entry of Rekor 2, so there is nothing in its form.
    expect(collected.items.map(({ kind }) => kind)).toEqual(['bundle', 'bundle']);
    expect(rejections).toEqual([]);
    expect(signatures).toHaveLength(2);
    for (const { time, logIndex } of signatures) {
      expect(time).toBeInstanceOf(Date);
      expect([1, 2]).toContain(logIndex);
    }
    const existing = await collectFromStore(store, digest);
    const again = await signImage(store, { subject, name, statements, signer, existing });
    expect(again.bundles).toEqual([]);
    expect(instance.tiledLog.size).toBe(3);
  });

  it('has the signatures of a key, of a type that it accepts', async () => {
    const { store, subject, name } = await createFixture();
    const instance = await sigstore();
    const root = await parseTrustedRoot(instance.trustedRoot, 'root');
    const witnesses = { rekorUrl: instance.url, rekorVersion: 2, root } as const;
    const { signer, trust } = await newKey(witnesses);
    await signImage(store, { subject, name, signer });
    const collected = await collectFromStore(store, subject.digest);
    const verified = await verifyImage({
      subject: subject.digest,
      collected,
      trust: { ...trust, root, keysNeedLog: true },
    });
    expect(verified.rejections).toEqual([]);
    expect(verified.signatures).toMatchObject([{ logIndex: 1 }]);
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const rsa = keySigner(await readSigningKey(pem), witnesses);
    expect((await signImage(store, { subject, name, signer: rsa })).bundles).toHaveLength(1);
    for (const other of [
      generateKeyPairSync('ed25519').privateKey,
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    ]) {
      const key = await readSigningKey(other.export({ type: 'pkcs8', format: 'pem' }).toString());
      const refused = signImage(store, { subject, name, signer: keySigner(key, witnesses) });
      await expect(refused).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    }
    expect(instance.tiledLog.size).toBe(3);
  });

  it('needs a timestamp authority for an identity', () => {
    const options = {
      identity: 'token',
      rekorUrl: 'https://log.example',
      rekorVersion: 2,
    } as const;
    expect(() => keylessSigner(options)).toThrow(/does not prove the time of a signature/);
  });

  it('that the trusted root does not have is refused', async () => {
    const { store, subject, name } = await createFixture();
    const instance = await sigstore();
    const root = await parseTrustedRoot((await sigstore()).trustedRoot, 'root');
    const witnesses = { rekorUrl: instance.url, rekorVersion: 2, root } as const;
    const { signer } = await newKey(witnesses);
    await expect(signImage(store, { subject, name, signer })).rejects.toMatchObject({
      code: 'SIGNATURE_INVALID',
    });
  });
});
