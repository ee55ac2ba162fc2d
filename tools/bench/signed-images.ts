import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  MediaType,
  openStore,
  parsePlatform,
  parseReference,
  writeImage,
} from '../../packages/oci/src/index.ts';
import { createRegistry } from '../../packages/registry/src/index.ts';
import { keylessSigner, pushSignatures, signImage } from '../../packages/sign/src/index.ts';
import { startSigstore, type TestSigstore } from '../../packages/testing/src/index.ts';
import { root, type Subject } from './measure.ts';

const SUBJECT = 'https://github.example/lkt/.github/workflows/release.yml@refs/heads/main';

/**
 * Pushes images signed by an identity to a registry, and to a store, as packages are. Verifying
 * them needs only the files of the sigstore instance. lkt reads the store and the registry; cosign
 * reads the registry.
 */
export async function signedImages(
  count: number,
  host: string,
  directory: string,
  env: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { subjects: readonly Subject[] }> {
  const instance = await startSigstore();
  const path = join(directory, 'signed');
  const store = await openStore(path);
  await using registry = createRegistry();
  const images: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const { digest, size } = await store.writeBytes(randomBytes(1000));
    const layer = { descriptor: { mediaType: MediaType.layerTar, digest, size }, diffId: digest };
    const platform = parsePlatform('linux/amd64');
    const subject = await writeImage(store, { config: {}, layers: [layer], platform });
    const name = parseReference(`${host}/signed/app${index}`);
    await registry.pushImage(store, subject, { ...name, tag: '1' });
    const { url, issuer } = instance;
    const services = { fulcioUrl: url, rekorUrl: url };
    const signer = keylessSigner({ identity: issuer.token(SUBJECT), ...services });
    await signImage(store, { subject, name, signer });
    await pushSignatures(registry, store, name, subject.digest);
    images.push(`${host}/signed/app${index}@${subject.digest}`);
  }
  return {
    subjects: commands(instance, images, path, env),
    [Symbol.asyncDispose]: async () => instance[Symbol.asyncDispose](),
  };
}

function commands(
  { directory, issuer }: TestSigstore,
  images: readonly string[],
  store: string,
  env: Readonly<Record<string, string>>,
): readonly Subject[] {
  const who = ['--certificate-identity', SUBJECT, '--certificate-oidc-issuer', issuer.url];
  const trusted = ['--trusted-root', join(directory, 'trusted_root.json')];
  const lkt = [join(root, 'lkt'), 'verify', '--quiet', ...who, ...trusted];
  const roots = {
    SIGSTORE_ROOT_FILE: join(directory, 'fulcio.pem'),
    SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: join(directory, 'ctfe.pub'),
    SIGSTORE_REKOR_PUBLIC_KEY: join(directory, 'rekor.pub'),
  };
  const [first = ''] = images;
  return [
    { name: 'lkt', env, command: [...lkt, '--offline', '--cache', store, ...images] },
    { name: 'lkt', env, command: [...lkt, '--cache', `${store}-empty`, ...images] },
    {
      name: 'cosign',
      env: { ...env, ...roots },
      command: ['cosign', 'verify', ...who, '--offline', ...images],
    },
    { name: 'lkt', env, command: [...lkt, '--offline', '--cache', store, first] },
  ];
}
