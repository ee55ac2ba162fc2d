import {
  type Descriptor,
  parsePlatform,
  type Platform,
  type Store,
  writeImage,
  writeIndex,
  writeLayer,
  writeReferrer,
} from '../../src/index.ts';
import { file } from '../support.ts';

export const SBOM = 'application/spdx+json';
const platform: Platform = parsePlatform('linux/amd64');

/** An image of one file, with its manifest and the tagged index. */
export async function image(
  store: Store,
  name: string,
): Promise<{ manifest: Descriptor; index: Descriptor }> {
  const layer = await writeLayer(store, [file('name', name)]);
  const manifest = await writeImage(store, { config: {}, layers: [layer], platform });
  const index = await writeIndex(store, [manifest]);
  await store.tag(`docker.io/lkt/${name}:1`, index);
  return { manifest, index };
}

export async function attach(
  store: Store,
  subject: Descriptor,
  text: string,
  artifactType: string = SBOM,
): Promise<Descriptor> {
  const layer = { mediaType: artifactType, ...(await store.writeBytes(Buffer.from(text))) };
  const annotations = { 'org.example.text': text };
  const referrer = await writeReferrer(store, {
    subject,
    artifactType,
    layers: [layer],
    annotations,
  });
  await store.addReferrer(referrer);
  return referrer;
}
