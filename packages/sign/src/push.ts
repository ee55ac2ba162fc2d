import { type Digest, digestHex, digestOf, LktError } from '@lkt/core';
import {
  type Descriptor,
  type ImageManifest,
  MediaType,
  parseManifest,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { Registry } from '@lkt/registry';
import { isBundleManifest } from './collect.ts';
import { LayerAnnotation, SIMPLE_SIGNING } from './formats.ts';

/** Another who signs at the same time may come between. */
const TRIES = 5;

/**
 * Brings the signatures that the store has of an image to where the image is in a registry: bundles as referrers, and
 * those in the form of cosign 2 under its tag `sha256-….sig`, beside what others have put there.
 * @throws LktError as the registry does
 */
export async function pushSignatures(
  registry: Registry,
  store: Store,
  repository: Reference,
  subject: Digest,
  signal?: AbortSignal,
): Promise<{ readonly bundles: number; readonly signatures: number }> {
  const { domain, path } = repository;
  const simple: Descriptor[] = [];
  let bundles = 0;
  for (const referrer of await store.referrers(subject)) {
    const manifest = parseManifestIfOne(await store.readBytes(referrer));
    if (manifest === undefined) continue;
    if (isBundleManifest(manifest)) {
      const target = { domain, path, digest: referrer.digest };
      await registry.pushImage(store, referrer, target, { signal });
      bundles += 1;
    } else {
      simple.push(...manifest.layers.filter(({ mediaType }) => mediaType === SIMPLE_SIGNING));
    }
  }
  if (simple.length > 0) {
    const tag = `sha256-${digestHex(subject)}.sig`;
    await pushSimple(registry, store, { domain, path, tag }, simple, signal);
  }
  return { bundles, signatures: simple.length };
}

async function pushSimple(
  registry: Registry,
  store: Store,
  target: Reference,
  layers: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const present = await layersOf(registry, target, signal);
    const have = new Set(present.map(identity));
    const missing = layers.filter((layer) => !have.has(identity(layer)));
    if (missing.length === 0) return;
    for (const layer of present) await fetchInto(registry, store, target, layer, signal);
    const manifest = await writeManifest(store, [...present, ...missing]);
    await registry.pushImage(store, manifest, target, { signal });
  }
  throw new LktError('NETWORK_FAILED', `others change the signatures of this image all the time`, {
    fix: 'push the signatures again',
  });
}

/** A tag of something else is not touched: whatever it is, signatures do not belong there. */
async function layersOf(
  registry: Registry,
  target: Reference,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  try {
    const { bytes } = await registry.fetchManifest(target, signal);
    return parseManifest(bytes).layers;
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return [];
    throw error;
  }
}

async function fetchInto(
  registry: Registry,
  store: Store,
  { domain, path }: Reference,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await store.has(layer.digest)) return;
  await store.writeBytes(await registry.fetchBlob({ domain, path }, layer, { signal }));
}

/** An image, since there are registries that take nothing else; it has as many layers as signatures. */
async function writeManifest(store: Store, layers: readonly Descriptor[]): Promise<Descriptor> {
  const config = Buffer.from(
    JSON.stringify({
      architecture: '',
      created: '0001-01-01T00:00:00Z',
      history: layers.map(() => ({ created: '0001-01-01T00:00:00Z' })),
      os: '',
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
      config: {},
    }),
  );
  const document: ImageManifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    config: { mediaType: MediaType.ociConfig, ...(await store.writeBytes(config)) },
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(document));
  await store.writeBytes(bytes);
  return { mediaType: MediaType.ociManifest, digest: digestOf(bytes), size: bytes.length };
}

function identity({ digest, annotations }: Descriptor): string {
  return `${digest} ${annotations?.[LayerAnnotation.signature] ?? ''}`;
}

function parseManifestIfOne(bytes: Buffer): ImageManifest | undefined {
  try {
    return parseManifest(bytes);
  } catch (error) {
    if (error instanceof LktError && error.code === 'IMAGE_INVALID') return undefined;
    throw error;
  }
}
