import { describeReferrer } from './referrers.ts';
import type { Descriptor } from './descriptor.ts';
import type { ImageManifest } from './manifest.ts';
import { MediaType } from './media-type.ts';
import type { Store } from '../store/store.ts';

/**
 * A referrer to write: a manifest about another one, its subject, such as a signature or an SBOM
 * (OCI image-spec, manifest.md).
 */
export interface NewReferrer {
  readonly subject: Descriptor;
  readonly artifactType: string;
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Writes the manifest of a referrer with image-spec's empty config. `Store.addReferrer` then makes
 * it findable.
 * @example
 * ```ts
 * const sbom = await writeReferrer(store, { subject, artifactType, layers: [document] });
 * await store.addReferrer(sbom);
 * ```
 */
export async function writeReferrer(store: Store, referrer: NewReferrer): Promise<Descriptor> {
  const { artifactType, annotations } = referrer;
  const { mediaType, digest, size } = referrer.subject;
  const empty = await store.writeBytes(Buffer.from('{}'));
  const manifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    artifactType,
    config: { mediaType: MediaType.ociEmpty, digest: empty.digest, size: empty.size },
    layers: referrer.layers.map((layer) => ({
      mediaType: layer.mediaType,
      digest: layer.digest,
      size: layer.size,
      annotations: layer.annotations,
    })),
    subject: { mediaType, digest, size },
    annotations,
  };
  const blob = await store.writeBytes(Buffer.from(JSON.stringify(manifest)));
  return describeReferrer({ mediaType: MediaType.ociManifest, ...blob }, manifest as ImageManifest);
}
