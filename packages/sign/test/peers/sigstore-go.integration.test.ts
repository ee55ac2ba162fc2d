import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestHex } from '@lkt/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { collectFromStore } from '../../src/referrers/collect-signatures.ts';
import { signImage } from '../../src/signing/sign-images.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../../src/statement/statement.ts';
import { verifyImage } from '../../src/verify/verify-image.ts';
import { CERTIFICATES, forgedFrom, SIGNER, SUBJECT } from '../forged-certificates.ts';
import { ENTRIES } from '../forged-entries.ts';
import { sigstoreGo } from './sigstore-go.ts';
import {
  keyless,
  newImage,
  newKey,
  type Fixture,
  createFixture,
  run,
  sigstore,
  temporary,
  WORKFLOW,
} from '../support.ts';

let program = '';
beforeAll(async () => {
  program = await sigstoreGo();
}, 900_000);

/** Writes the image's bundle to a file. */
async function bundleFile({ store, subject }: Fixture, directory: string): Promise<string> {
  const { items } = await collectFromStore(store, subject.digest);
  const item = items.find(({ kind }) => kind === 'bundle');
  const path = join(directory, 'bundle.json');
  await writeFile(path, item?.bytes ?? '');
  return path;
}

describe('sigstore-go', () => {
  it.each(['ecdsa', 'ed25519'] as const)(
    'accepts a signature by a key, for that key and image only: %s',
    { timeout: 120_000 },
    async (type) => {
      const fixture = await createFixture();
      const { store, subject, name } = fixture;
      const { signer, directory } = await newKey({}, type);
      await signImage(store, { subject, name, signer });
      const bundle = await bundleFile(fixture, directory);
      const verify = async (key: string, digest = subject.digest): Promise<number> => {
        const args = ['-key', join(key, 'cosign.pub'), '-digest', digestHex(digest), bundle];
        return (await run(program, ['verify', ...args])).status;
      };
      expect(await verify(directory)).toBe(0);
      expect(await verify((await newKey()).directory)).toBe(1);
      expect(await verify(directory, (await newImage(store)).digest)).toBe(1);
    },
  );

  it.each([false, true])(
    'accepts what lkt signs as an identity, with a timestamp: %j',
    { timeout: 120_000 },
    async (tsa) => {
      const fixture = await createFixture();
      const { store, subject, name } = fixture;
      const instance = await sigstore();
      const { signer } = await keyless(instance, { tsa });
      await signImage(store, { subject, name, signer });
      const bundle = await bundleFile(fixture, (await newKey()).directory);
      const verify = async (
        { directory, issuer } = instance,
        identity = WORKFLOW,
        digest = subject.digest,
      ): Promise<string> => {
        const root = ['-root', join(directory, 'trusted_root.json')];
        const who = ['-identity', identity, '-issuer', issuer.url];
        const args = [...root, ...who, '-digest', digestHex(digest), bundle];
        return (await run(program, ['verify', ...args])).output;
      };
      expect(await verify()).toBe('');
      expect(await verify(await sigstore())).not.toBe('');
      expect(await verify(instance, 'someone@example.org')).toMatch(/identity/);
      expect(await verify(instance, WORKFLOW, (await newImage(store)).digest)).toMatch(/digest/);
    },
  );

  it(
    'signs and lkt accepts it, for that identity and image only',
    { timeout: 120_000 },
    async () => {
      const { store, subject } = await createFixture();
      const instance = await sigstore();
      const { directory, url, issuer } = instance;
      const { digest } = subject;
      const statement = join((await newKey()).directory, 'statement.json');
      const content = statementAbout({ name: 'app', digest }, SIGNATURE_PREDICATE, {});
      await writeFile(statement, JSON.stringify(content));
      const root = ['-root', join(directory, 'trusted_root.json'), '-url', url];
      const token = ['-token', issuer.token(WORKFLOW)];
      const signed = await run(program, ['sign', ...root, ...token, statement]);
      expect(signed.output).toMatch(/^\{/);
      const item = { kind: 'bundle', source: 'here', bytes: Buffer.from(signed.output) } as const;
      const collected = { items: [item], unreadable: [] };
      const { trust } = await keyless(instance);
      const verified = await verifyImage({ subject: digest, collected, trust });
      expect(verified.rejections).toEqual([]);
      expect(verified.signatures).toMatchObject([
        { signer: { kind: 'identity', subject: WORKFLOW, issuer: issuer.url } },
      ]);
      const other = (await newImage(store)).digest;
      const moved = await verifyImage({ subject: other, collected, trust });
      expect(moved.rejections[0]?.reason).toMatch(/another image/);
      const { trust: others } = await keyless(instance, { subject: 'jane@example.org' });
      const unknown = await verifyImage({ subject: digest, collected, trust: others });
      expect(unknown.rejections[0]?.reason).toMatch(/who is not trusted/);
    },
  );

  // lkt accepts none of them.
  it.each([...CERTIFICATES, ...ENTRIES])(
    'rejects a signature $what',
    async ({ forgery, accepted }) => {
      const directory = await temporary();
      const { bundle, trustedRoot } = forgedFrom(forgery);
      const [file, root] = [join(directory, 'bundle.json'), join(directory, 'root.json')];
      await writeFile(file, JSON.stringify(bundle));
      await writeFile(root, trustedRoot);
      const who = ['-identity', SIGNER.subject, '-issuer', SIGNER.issuer];
      const args = ['verify', '-root', root, ...who, '-digest', digestHex(SUBJECT), file];
      expect((await run(program, args)).status).toBe(accepted === undefined ? 1 : 0);
    },
  );
});
