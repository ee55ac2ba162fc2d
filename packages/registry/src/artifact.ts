import { canonicalJson, digestOf } from '@lkt/core';
import { type Descriptor, type ImageManifest, MediaType, type Reference } from '@lkt/oci';
import type { Manifest } from './manifests.ts';
import { putWithSubject } from './push.ts';
import type { Remote } from './remote.ts';
import { uploadBlob } from './upload.ts';

/**
 * A small manifest beside an image, such as a signature or attestation (OCI image-spec,
 * manifest.md, "Guidelines for Artifact Usage").
 */
export interface Artifact {
  readonly artifactType: string;
  readonly layers: readonly {
    readonly mediaType: string;
    readonly bytes: Uint8Array;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  /** The manifest it describes. */
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

const EMPTY = Buffer.from('{}');

/**
 * Pushes an artifact by digest, or under the tag of `repository`. Equal artifacts have equal
 * digests, so a second push changes nothing.
 */
export async function pushArtifact(
  remote: Remote,
  repository: Reference,
  artifact: Artifact,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const config = await pushBytes(remote, EMPTY, signal);
  const layers: Descriptor[] = [];
  for (const { bytes, mediaType, annotations } of artifact.layers) {
    const blob = await pushBytes(remote, bytes, signal);
    layers.push({ mediaType, ...blob, annotations });
  }
  const { artifactType, subject, annotations } = artifact;
  const document: ImageManifest = {
    schemaVersion: 2,
    mediaType: MediaType.ociManifest,
    artifactType,
    config: { mediaType: MediaType.ociEmpty, ...config },
    layers: layers.length > 0 ? layers : [{ mediaType: MediaType.ociEmpty, ...config }],
    subject:
      subject === undefined
        ? undefined
        : { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations,
  };
  const bytes = Buffer.from(canonicalJson(document));
  const descriptor: Descriptor = {
    mediaType: MediaType.ociManifest,
    digest: digestOf(bytes),
    size: bytes.length,
    artifactType,
    annotations,
  };
  const manifest: Manifest = { descriptor, bytes };
  const { domain, path, tag } = repository;
  const target =
    tag === undefined ? { domain, path, digest: descriptor.digest } : { domain, path, tag };
  await putWithSubject(remote, target, manifest, signal);
  return descriptor;
}

async function pushBytes(
  remote: Remote,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Pick<Descriptor, 'digest' | 'size'>> {
  const blob = { digest: digestOf(bytes), size: bytes.length };
  async function* read(offset: number): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(offset);
  }
  await uploadBlob(remote, { ...blob, read }, { signal });
  return blob;
}
