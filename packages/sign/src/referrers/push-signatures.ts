import { type Digest, digestOf, LktError } from '@lkt/core';
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
import { isBundleManifest, MAX_BUNDLE_BYTES } from './collect-signatures.ts';
import { findManifest, referrersTag } from './registry-referrers.ts';
import { BUNDLE_V03, DSSE_ENVELOPE, LayerAnnotation, SIMPLE_SIGNING } from '../bundle/formats.ts';
import { attestationLayer } from '../bundle/attestation-layer.ts';
import { simpleRepository } from '../bundle/simple-signing.ts';

/** A concurrent signer may change the tag between read and push. */
const MAX_ATTEMPTS = 5;

/** The result of `pushSignatures`. */
export interface PushedSignatures {
  /** Bundles in the store, and signatures in cosign 2's form for this repository. */
  readonly bundles: number;
  readonly signatures: number;
  /** Bytes of uploaded blobs. */
  readonly bytes: number;
  readonly changed: boolean;
}

/**
 * Pushes the store's signatures of an image to its repository: bundles as referrers, and cosign 2's
 * form under the tags `sha256-….sig` and `.att`, beside the signatures of others. Sends nothing
 * that the registry has.
 * @throws NETWORK_FAILED, ACCESS_DENIED; IMAGE_INVALID if a tag holds something other than
 * signatures
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
    const manifest = tryParseManifest(await store.readBytes(referrer));
    if (manifest === undefined) continue;
    if (isBundleManifest(manifest)) {
      bundles.push(referrer);
      attestations.push(...(await attestationsIn(store, manifest)));
    } else {
      simple.push(...(await signaturesFor(store, name, manifest)));
    }
  }
  const done: PushResult[] = [];
  if (bundles.length > 0) {
    const there = await registry.referrers({ domain, path, digest: subject }, signal);
    const known = new Set(there.map(({ digest }) => digest));
    for (const bundle of bundles.filter(({ digest }) => !known.has(digest))) {
      const target = { domain, path, digest: bundle.digest };
      done.push(await registry.pushImage(store, bundle, target, { isPart: true, signal }));
    }
  }
  const tag = referrersTag(subject);
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

/**
 * Returns the signatures that name this repository; those for another repository would not verify.
 */
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

async function attestationsIn(
  store: Store,
  { layers: [layer] }: ImageManifest,
): Promise<readonly Descriptor[]> {
  if (layer === undefined || layer.mediaType !== BUNDLE_V03) return [];
  const found = await attestationLayer(store, await store.readBytes(layer, MAX_BUNDLE_BYTES));
  return found === undefined ? [] : [found];
}

/** A tag with signatures of cosign 2, and the media type of its layers. */
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
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const present = await layersOf(registry, list, signal);
    const have = new Set(present.map(identity));
    const missing = layers.filter((layer) => !have.has(identity(layer)));
    if (missing.length === 0) return done;
    for (const layer of present) {
      if (await store.has(layer.digest)) continue;
      const limits = { limit: MAX_BUNDLE_BYTES, signal };
      await store.writeBytes(await registry.fetchBlob(target, layer, limits), layer.digest);
    }
    const manifest = await writeManifest(store, [...present, ...missing]);
    done.push(await registry.pushImage(store, manifest, target, { isPart: true, signal }));
  }
  throw new LktError(
    'NETWORK_FAILED',
    'concurrent pushes keep changing the signatures of this image',
    {
      fix: 'push the signatures again',
    },
  );
}

/**
 * Returns the layers of the tag, including those of other types between the signatures.
 * @throws IMAGE_INVALID if the tag holds something other than signatures: it is not overwritten
 */
async function layersOf(
  registry: Registry,
  { target, type }: SimpleList,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  let manifest: ImageManifest;
  try {
    const tagged = await findManifest(registry, target, signal);
    if (tagged === undefined) return [];
    manifest = parseManifest(tagged.bytes);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'IMAGE_INVALID') throw error;
    throw notASignatureList(target, error.message, error);
  }
  const { layers, artifactType, config } = manifest;
  if (layers.some(({ mediaType }) => mediaType === type)) return layers;
  const types = [...new Set(layers.map(({ mediaType }) => mediaType))];
  const what = types.length === 0 ? [artifactType ?? config.mediaType] : types;
  throw notASignatureList(target, `it has ${what.join(', ')}`);
}

function notASignatureList(target: Reference, why: string, cause?: LktError): LktError {
  const message = `${formatReference(target)} is not a signature list: ${why}`;
  return new LktError('IMAGE_INVALID', message, {
    cause,
    fix: 'move the image to another tag: cosign 2 keeps signatures under this one',
  });
}

/**
 * Writes an image manifest with a layer for each signature. Some registries accept no other
 * manifest.
 */
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

function tryParseManifest(bytes: Buffer): ImageManifest | undefined {
  try {
    return parseManifest(bytes);
  } catch (error) {
    if (error instanceof LktError && error.code === 'IMAGE_INVALID') return undefined;
    throw error;
  }
}
