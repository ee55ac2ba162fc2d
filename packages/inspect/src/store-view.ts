import { findAttestations, parseSpdx, readAttestation } from '@lkt/attest';
import { isDigest, LktError } from '@lkt/core';
import { type Descriptor, formatPlatform, loadImage, type Platform, type Store } from '@lkt/oci';
import { readFileFacts } from '@lkt/formats';
import type { NamedDigest } from './documents.ts';
import { storedEntries } from './stored-entries.ts';
import type { ImageView } from './view.ts';

/**
 * Reads an image of the store for one platform, with its SBOM and provenance.
 * @throws NOT_FOUND if the store lacks a part of the image; IMAGE_INVALID
 */
export async function viewStored(
  store: Store,
  name: string,
  { digest }: Pick<Descriptor, 'digest'>,
  platform: Platform,
): Promise<ImageView> {
  const image = await loadImage(store, digest, platform);
  const subject = image.descriptor.digest;
  const [sbom] = await findAttestations(store, subject, 'sbom');
  const provenance = await provenanceOf(store, subject);
  return {
    kind: 'image',
    name,
    digest,
    outputs: [],
    parameters: { platform: formatPlatform(platform), ...provenance.parameters },
    images: [],
    inputs: provenance.inputs,
    config: image.config.config ?? {},
    sbom: sbom === undefined ? undefined : parseSpdx(await readAttestation(store, sbom)),
    files: async (signal) => readFileFacts(storedEntries(store, image), {}, signal),
  };
}

/** Reads the first provenance of an image. Further ones describe other builds of the same image. */
async function provenanceOf(
  store: Store,
  subject: Descriptor['digest'],
): Promise<{
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly inputs: readonly NamedDigest[];
}> {
  const [first] = await findAttestations(store, subject, 'provenance');
  if (first === undefined) return { parameters: {}, inputs: [] };
  try {
    const statement = JSON.parse((await readAttestation(store, first)).toString()) as {
      predicate: {
        buildDefinition: {
          externalParameters: Readonly<Record<string, unknown>>;
          resolvedDependencies: readonly {
            name?: unknown;
            uri?: unknown;
            digest?: Readonly<Record<string, unknown>>;
          }[];
        };
      };
    };
    const { externalParameters, resolvedDependencies } = statement.predicate.buildDefinition;
    const inputs = resolvedDependencies.flatMap(({ name, uri, digest }) => {
      const text = typeof name === 'string' ? name : typeof uri === 'string' ? uri : undefined;
      const sum = `sha256:${String(digest?.['sha256'])}`;
      return text === undefined || !isDigest(sum) ? [] : [{ name: text, digest: sum }];
    });
    return { parameters: { ...externalParameters }, inputs };
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw new LktError('IMAGE_INVALID', `cannot read the provenance of ${subject}`, { cause });
  }
}
