import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { collectFromRegistry } from '../../src/referrers/collect-signatures.ts';
import { BUNDLE_V03 } from '../../src/bundle/formats.ts';
import { pushSignatures } from '../../src/referrers/push-signatures.ts';
import { signImage } from '../../src/signing/sign-images.ts';
import { SPDX_PREDICATE, statementAbout } from '../../src/statement/statement.ts';
import type { Verification } from '../../src/verify/verification.ts';
import { verifyImage } from '../../src/verify/verify-image.ts';
import { newImage, newKey, type Fixture, createFixture, run, temporary } from '../support.ts';

async function oras(...args: readonly string[]): Promise<string> {
  const { status, output } = await run('oras', args);
  expect({ status, output }).toMatchObject({ status: 0 });
  return output;
}

describe.each([
  ['with the referrers API', {}],
  ['without it', { referrers: false }],
])('in a registry %s, oras', (_what, options) => {
  async function signedPlace(): Promise<{
    fixture: Fixture;
    verified: (repository: string, digest?: Fixture['subject']['digest']) => Promise<Verification>;
  }> {
    const fixture = await createFixture(options);
    const { store, subject, name, registry } = fixture;
    const { signer, trust } = await newKey();
    const about = { name: 'app', digest: subject.digest };
    const statements = [statementAbout(about, SPDX_PREDICATE, { spdxVersion: 'SPDX-2.3' })];
    await signImage(store, { subject, name, statements, signer });
    await pushSignatures(registry, store, name, subject.digest);
    const verified = async (path: string, digest = subject.digest): Promise<Verification> => {
      const collected = await collectFromRegistry(registry, { domain: name.domain, path, digest });
      return verifyImage({ subject: digest, collected, trust });
    };
    return { fixture, verified };
  }

  it('finds signatures and copies them with the image', async () => {
    const { fixture, verified } = await signedPlace();
    const { reference, server, subject } = fixture;
    const found = await oras('discover', '--plain-http', '--format', 'json', reference);
    expect(found.split(BUNDLE_V03)).toHaveLength(3);
    const plain = ['--from-plain-http', '--to-plain-http', '--no-tty'];
    const target = `${server.host}/elsewhere/app:1`;
    await oras('copy', '--recursive', ...plain, reference, target);
    const { signatures, rejections } = await verified('elsewhere/app', subject.digest);
    expect(rejections).toEqual([]);
    expect(signatures).toHaveLength(2);
  });

  it(
    'attaches a bundle that lkt finds, valid for its image only',
    { timeout: 120_000 },
    async () => {
      const { fixture, verified } = await signedPlace();
      const { server, subject, store, registry, name } = fixture;
      const other = await newImage(store);
      await registry.pushImage(store, other, { ...name, path: 'other', tag: '1' });
      await registry.pushImage(store, subject, { ...name, path: 'again', tag: '1' });
      const [referrer] = await registry.referrers({ ...name, digest: subject.digest });
      const directory = await temporary();
      const { layers } = JSON.parse(
        await oras('manifest', 'fetch', '--plain-http', `${server.host}/app@${referrer?.digest}`),
      ) as { layers: readonly { digest: string }[] };
      const bundle = join(directory, 'bundle.json');
      const blob = `${server.host}/app@${layers[0]?.digest}`;
      await oras('blob', 'fetch', '--plain-http', '--output', bundle, blob);
      await writeFile(join(directory, 'readme'), 'not a bundle');
      const attach = ['attach', '--plain-http', '--disable-path-validation', '--no-tty'];
      for (const repository of ['other', 'again']) {
        const image = `${server.host}/${repository}:1`;
        await oras(...attach, '--artifact-type', BUNDLE_V03, image, `${bundle}:${BUNDLE_V03}`);
        await oras(...attach, '--artifact-type', 'text/x', image, `${directory}/readme:text/plain`);
      }
      const again = await verified('again');
      expect(again).toMatchObject({ rejections: [], signatures: [{ signer: { kind: 'key' } }] });
      const moved = await verified('other', other.digest);
      expect(moved.signatures).toEqual([]);
      expect(moved.rejections.map(({ reason }) => reason)).toEqual([
        expect.stringMatching(/another image/) as string,
      ]);
    },
  );
});
