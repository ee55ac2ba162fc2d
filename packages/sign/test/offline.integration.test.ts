import { join } from 'node:path';
import { expect, it } from 'vitest';
import { signImage } from '../src/signing/sign-images.ts';
import { keyless, createFixture, run, sigstore, WORKFLOW } from './support.ts';

it('verifies a signature without any network', async () => {
  const { store, subject, name } = await createFixture();
  const instance = await sigstore();
  const { signer } = await keyless(instance, { tsa: true });
  await signImage(store, { subject, name, signer });
  const asked = instance.requests.length;
  const script = join(import.meta.dirname, 'offline-verify.ts');
  const root = join(instance.directory, 'trusted_root.json');
  const args = [store.dir, subject.digest, root, instance.issuer.url, WORKFLOW];
  const verify = [process.execPath, script, ...args];
  const done = await run('unshare', ['--user', '--map-root-user', '--net', ...verify]);
  expect(done).toMatchObject({ status: 0 });
  expect(JSON.parse(done.output)).toMatchObject({ signatures: 2, rejections: [] });
  expect(instance.requests).toHaveLength(asked);
});
