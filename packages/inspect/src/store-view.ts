import { findAttestations, parseSpdx, readAttestation } from '@lkt/attest';
import { digestFromSet, readJson } from '@lkt/core';
import { type Descriptor, formatPlatform, loadImage, type Platform, type Store } from '@lkt/oci';
import { buildDefinition, list, type NamedDigest, object } from './documents.ts';
import { readFacts } from './facts.ts';
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
    files: async (signal) => readFacts(storedEntries(store, image), signal),
  };
}

/** Reads the first provenance of an image. Further ones describe other builds of the same image. */
async function provenanceOf(
  store: Store,
  subject: Descriptor['digest'],
): Promise<Pick<ImageView, 'parameters' | 'inputs'>> {
  const [first] = await findAttestations(store, subject, 'provenance');
  if (first === undefined) return { parameters: {}, inputs: [] };
  const bytes = await readAttestation(store, first);
  const what = `cannot read the provenance of ${subject}`;
  return readJson(bytes, provenanceFrom, { code: 'IMAGE_INVALID', what });
}

function provenanceFrom(value: unknown): Pick<ImageView, 'parameters' | 'inputs'> {
  const definition = buildDefinition(object(value, 'the document'));
  const inputs = list(definition['resolvedDependencies'], 'resolvedDependencies');
  return {
    parameters: object(definition['externalParameters'] ?? {}, 'externalParameters'),
    inputs: inputs.flatMap(inputOf),
  };
}

/** Other tools name inputs by their URI, and some without a digest; those are left out. */
function inputOf(item: unknown): readonly NamedDigest[] {
  const { name, uri, digest } = object(item, 'an entry of resolvedDependencies');
  const text = [name, uri].find((value) => typeof value === 'string');
  const sum = digestFromSet(object(digest ?? {}, 'a digest'));
  return text === undefined || sum === undefined ? [] : [{ name: text, digest: sum }];
}
