import { type Digest, digestHex, digestOf, LktError } from '@lkt/core';
import {
  type Descriptor,
  formatReference,
  type ImageManifest,
  MediaType,
  parseManifest,
  type Reference,
  type Store,
} from '@lkt/oci';
import type { PushResult, Registry } from '@lkt/registry';
import { isBundleManifest, MAX_BUNDLE } from './collect.ts';
import { BUNDLE_V03, DSSE_ENVELOPE, LayerAnnotation, SIMPLE_SIGNING } from '../bundle/formats.ts';
import { attestationLayer } from '../bundle/simple-attestation.ts';
import { simpleRepository } from '../bundle/simple-signing.ts';

/** Another who signs at the same time may come between. */
const TRIES = 5;

export interface PushedSignatures {
  /** Bundles that the store has, and signatures in the form of cosign 2 for this repository. */
  readonly bundles: number;
  readonly signatures: number;
  /** Of blobs that went over the wire. */
  readonly bytes: number;
  readonly changed: boolean;
}

/**
 * Brings the signatures that the store has of an image to where the image is, or will be, in a registry: bundles as
 * referrers, and in the form of cosign 2 under the tags `sha256-….sig` and `.att`, beside what others have put there.
 * What is there is not sent again.
 * @throws LktError as the registry does
 */
export async function pushSignatures(
  registry: Registry,
  store: Store,
  repository: Reference,
  subject: Digest,
  signal?: AbortSignal,
): Promise<PushedSignatures> {
  const { domain, path } = repository;
  const name = formatReference({ domain, path });
  const bundles: Descriptor[] = [];
  const simple: Descriptor[] = [];
  const attestations: Descriptor[] = [];
  for (const referrer of await store.referrers(subject)) {
    const manifest = parseManifestIfOne(await store.readBytes(referrer));
    if (manifest === undefined) continue;
    if (isBundleManifest(manifest)) {
      bundles.push(referrer);
      const layer = await attestationOf(store, manifest);
      if (layer !== undefined) attestations.push(layer);
    } else {
      simple.push(...(await signaturesFor(store, name, manifest)));
    }
  }
  const done: PushResult[] = [];
  if (bundles.length > 0) {
    const about = { domain, path, digest: subject };
    const there = await registry.referrers(about, undefined, signal);
    const known = new Set(there.map(({ digest }) => digest));
    for (const bundle of bundles.filter(({ digest }) => !known.has(digest))) {
      const target = { domain, path, digest: bundle.digest };
      done.push(await registry.pushImage(store, bundle, target, { signal }));
    }
  }
  const tag = `sha256-${digestHex(subject)}`;
  for (const [suffix, type, layers] of [
    ['sig', SIMPLE_SIGNING, simple],
    ['att', DSSE_ENVELOPE, attestations],
  ] as const) {
    if (layers.length === 0) continue;
    const list: SimpleList = { target: { domain, path, tag: `${tag}.${suffix}` }, type };
    done.push(...(await pushSimple(registry, store, list, layers, signal)));
  }
  return {
    bundles: bundles.length,
    signatures: simple.length,
    bytes: done.reduce((sum, { bytes }) => sum + bytes, 0),
    changed: done.some(({ changed }) => changed),
  };
}

/** A signature names the repository; for another one it is worth nothing, and nobody's business. */
async function signaturesFor(
  store: Store,
  name: string,
  { layers }: ImageManifest,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  for (const layer of layers.filter(({ mediaType }) => mediaType === SIMPLE_SIGNING))
    if (simpleRepository(await store.readBytes(layer)) === name) found.push(layer);
  return found;
}

async function attestationOf(
  store: Store,
  { layers: [layer] }: ImageManifest,
): Promise<Descriptor | undefined> {
  if (layer === undefined || layer.mediaType !== BUNDLE_V03) return undefined;
  return attestationLayer(store, await store.readBytes(layer, MAX_BUNDLE));
}

/** Where signatures of cosign 2 are, and what the layers of such a list are. */
interface SimpleList {
  readonly target: Reference;
  readonly type: string;
}

async function pushSimple(
  registry: Registry,
  store: Store,
  list: SimpleList,
  layers: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<readonly PushResult[]> {
  const { target } = list;
  const done: PushResult[] = [];
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const present = await layersOf(registry, list, signal);
    const have = new Set(present.map(identity));
    const missing = layers.filter((layer) => !have.has(identity(layer)));
    if (missing.length === 0) return done;
    for (const layer of present) await fetchInto(registry, store, target, layer, signal);
    const manifest = await writeManifest(store, [...present, ...missing]);
    done.push(await registry.pushImage(store, manifest, target, { signal }));
  }
  throw new LktError('NETWORK_FAILED', `others change the signatures of this image all the time`, {
    fix: 'push the signatures again',
  });
}

/**
 * A tag of something else is not touched: whatever it is, signatures do not belong there. What others have put between
 * signatures stays.
 */
async function layersOf(
  registry: Registry,
  { target, type }: SimpleList,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  let manifest: ImageManifest;
  try {
    manifest = parseManifest((await registry.fetchManifest(target, signal)).bytes);
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    if (error.code === 'NOT_FOUND') return [];
    if (error.code !== 'IMAGE_INVALID') throw error;
    throw noList(target, `: ${error.message}`, error);
  }
  const { layers, artifactType, config } = manifest;
  if (layers.some(({ mediaType }) => mediaType === type)) return layers;
  const types = [...new Set(layers.map(({ mediaType }) => mediaType))];
  const what = types.length === 0 ? [artifactType ?? config.mediaType] : types;
  throw noList(target, `, but has ${what.join(', ')}`);
}

function noList(target: Reference, why: string, cause?: LktError): LktError {
  const message = `${formatReference(target)} is no list of signatures${why}`;
  return new LktError('IMAGE_INVALID', message, {
    cause,
    fix: 'give what is there another tag, and remove this one: signatures of cosign 2 belong there',
  });
}

async function fetchInto(
  registry: Registry,
  store: Store,
  { domain, path }: Reference,
  layer: Descriptor,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await store.has(layer.digest)) return;
  const limit = MAX_BUNDLE;
  await store.writeBytes(await registry.fetchBlob({ domain, path }, layer, { limit, signal }));
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
