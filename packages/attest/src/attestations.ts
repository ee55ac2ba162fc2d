import { canonicalJson, type Digest, LktError } from '@lkt/core';
import { type Descriptor, parseManifest, type Store, writeReferrer } from '@lkt/oci';
import type { ProvenanceStatement } from './provenance.ts';
import type { SpdxDocument } from './spdx.ts';
import { IN_TOTO_JSON, PREDICATE_TYPE, SPDX_JSON } from './uris.ts';

/** Kinds of documents that lkt writes beside an image. */
export type AttestationKind = 'provenance' | 'sbom';

const ARTIFACT_TYPE: Readonly<Record<AttestationKind, string>> = {
  provenance: IN_TOTO_JSON,
  sbom: SPDX_JSON,
};

/** Bytes, as for pulled ones. SBOMs of large images have some MB; more could use up the memory. */
const MAX_DOCUMENT_BYTES = 64 * 2 ** 20;

/**
 * Writes an SBOM to the store, as a referrer of its image.
 * @returns the referrer's descriptor; `store.addReferrer` lists it
 */
export async function writeSbom(
  store: Store,
  subject: Descriptor,
  document: SpdxDocument,
): Promise<Descriptor> {
  return write(store, subject, SPDX_JSON, document);
}

/**
 * Writes a provenance statement to the store, as a referrer of its image.
 * @returns the referrer's descriptor; `store.addReferrer` lists it
 */
export async function writeProvenance(
  store: Store,
  subject: Descriptor,
  statement: ProvenanceStatement,
): Promise<Descriptor> {
  const annotations = { [PREDICATE_TYPE]: statement.predicateType };
  return write(store, subject, IN_TOTO_JSON, statement, annotations);
}

async function write(
  store: Store,
  subject: Descriptor,
  mediaType: string,
  document: unknown,
  annotations?: Readonly<Record<string, string>>,
): Promise<Descriptor> {
  const blob = await store.writeBytes(Buffer.from(canonicalJson(document)));
  const layers = [{ mediaType, ...blob, annotations }];
  return writeReferrer(store, { subject, artifactType: mediaType, layers, annotations });
}

/** Returns the referrers of one kind that the store has for an image, ordered by digest. */
export async function findAttestations(
  store: Store,
  subject: Digest,
  kind: AttestationKind,
): Promise<readonly Descriptor[]> {
  const found = await store.referrers(subject, ARTIFACT_TYPE[kind]);
  return kind === 'sbom'
    ? found
    : found.filter(
        ({ annotations }) =>
          annotations?.[PREDICATE_TYPE]?.startsWith('https://slsa.dev/provenance/') === true,
      );
}

/**
 * Returns the document of a referrer.
 * @throws IMAGE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function readAttestation(
  store: Store,
  referrer: { readonly digest: Digest },
): Promise<Buffer> {
  const [layer, ...more] = parseManifest(await store.readBytes(referrer)).layers;
  if (layer === undefined || more.length > 0)
    throw new LktError(
      'IMAGE_INVALID',
      `attestation ${referrer.digest} does not have exactly one layer`,
    );
  return store.readBytes(layer, MAX_DOCUMENT_BYTES);
}
