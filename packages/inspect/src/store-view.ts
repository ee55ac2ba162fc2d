import {
  findAttestations,
  mergeSpdx,
  parseSpdx,
  readAttestation,
  type SpdxDocument,
} from '@lkt/attest';
import { type Digest, digestFromSet, LktError, readJson } from '@lkt/core';
import {
  CONTENT_ERRORS,
  type Descriptor,
  formatPlatform,
  loadImage,
  type Platform,
  type Store,
} from '@lkt/oci';
import { buildDefinition, list, type NamedDigest, object } from './documents.ts';
import { readFacts } from './facts.ts';
import { storedEntries } from './stored-entries.ts';
import type { ImageDocument, ImageView } from './view.ts';

/**
 * Reads an image of the store for one platform, with its SBOMs and provenances.
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
  const sboms: SpdxDocument[] = [];
  const documents = [
    ...(await readDocuments(store, subject, 'SBOM', (bytes) => {
      sboms.push(parseSpdx(bytes));
      return {};
    })),
    ...(await readDocuments(store, subject, 'provenance', (bytes) =>
      readJson(bytes, provenanceFrom, { code: 'IMAGE_INVALID', what: 'no provenance' }),
    )),
  ];
  const provenance = documents.find(({ inputs }) => inputs !== undefined);
  return {
    kind: 'image',
    name,
    digest,
    outputs: [],
    parameters: { platform: formatPlatform(platform), ...provenance?.parameters },
    images: [],
    inputs: provenance?.inputs ?? [],
    config: image.config.config ?? {},
    sbom: sboms.length > 1 ? mergeSpdx({ kind: 'image', name }, sboms) : sboms[0],
    documents,
    files: async (signal) => readFacts(storedEntries(store, image), signal),
  };
}

/** Reads all documents of a kind, so that one that others attached hides no other. */
async function readDocuments(
  store: Store,
  subject: Digest,
  kind: ImageDocument['kind'],
  read: (bytes: Buffer) => Pick<ImageDocument, 'inputs' | 'parameters'>,
): Promise<readonly ImageDocument[]> {
  const found: ImageDocument[] = [];
  const referrers = await findAttestations(store, subject, kind === 'SBOM' ? 'sbom' : kind);
  for (const referrer of referrers) {
    const { digest } = referrer;
    try {
      found.push({ kind, digest, ...read(await readAttestation(store, referrer)) });
    } catch (error) {
      if (!(error instanceof LktError) || !CONTENT_ERRORS.includes(error.code)) throw error;
      found.push({ kind, digest, problem: error.message });
    }
  }
  return found;
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
