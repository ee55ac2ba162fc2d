import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestHex } from '@lkt/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { collectFromStore } from '../src/evidence/collect.ts';
import { signImage } from '../src/signing/sign.ts';
import { SIGNATURE_PREDICATE, statementAbout } from '../src/statement/statement.ts';
import { verifyImage } from '../src/verify/verify.ts';
import { sigstoreGo } from './sigstore-go.ts';
import {
  keyless,
  newImage,
  newKey,
  type Place,
  place,
  run,
  sigstore,
  WORKFLOW,
} from './support.ts';

let program = '';
beforeAll(async () => {
  program = await sigstoreGo();
}, 900_000);

/** The bundle that is beside an image, as a file. */
async function bundleFile({ store, subject }: Place, directory: string): Promise<string> {
  const { items } = await collectFromStore(store, subject.digest);
  const item = items.find(({ kind }) => kind === 'bundle');
  const path = join(directory, 'bundle.json');
  await writeFile(path, item?.bytes ?? '');
  return path;
}

describe('sigstore-go', () => {
  it(
    'accepts what lkt signs with a key, of that key and image alone',
    { timeout: 120_000 },
    async () => {
      const there = await place();
      const { store, subject, name } = there;
      const { signer, directory } = await newKey();
      await signImage(store, { subject, name, signer });
      const bundle = await bundleFile(there, directory);
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
      const there = await place();
      const { store, subject, name } = there;
      const instance = await sigstore();
      const { signer } = await keyless(instance, { tsa });
      await signImage(store, { subject, name, signer });
      const bundle = await bundleFile(there, (await newKey()).directory);
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
    'signs what lkt accepts, as whoever it says and for its image alone',
    { timeout: 120_000 },
    async () => {
      const { store, subject } = await place();
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
      const evidence = { items: [item], unreadable: [] };
      const { trust } = await keyless(instance);
      const verified = await verifyImage({ subject: digest, evidence, trust });
      expect(verified.rejections).toEqual([]);
      expect(verified.signatures).toMatchObject([
        { signer: { kind: 'identity', subject: WORKFLOW, issuer: issuer.url } },
      ]);
      const other = (await newImage(store)).digest;
      const moved = await verifyImage({ subject: other, evidence, trust });
      expect(moved.rejections[0]?.reason).toMatch(/another image/);
      const { trust: others } = await keyless(instance, { subject: 'jane@example.org' });
      const unknown = await verifyImage({ subject: digest, evidence, trust: others });
      expect(unknown.rejections[0]?.reason).toMatch(/who is not trusted/);
    },
  );
});
