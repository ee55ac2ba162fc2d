import type { SpdxDocument } from '@lkt/attest';
import type { Digest } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { ownAttestations } from './own-attestations.ts';

/** An SBOM that the store has of an image. */
export interface StoredSbom {
  readonly digest: Digest;
  /** Whether others wrote it: anyone with access to a registry can attach an SBOM there. */
  readonly isForeign: boolean;
  readonly read: () => Promise<Buffer>;
}

/** Returns the SBOMs beside an image, ordered by digest. */
export async function storedSboms(store: Store, image: Digest): Promise<readonly StoredSbom[]> {
  // Loaded on demand: most commands read no SBOM.
  const { findAttestations, readAttestation } = await import('@lkt/attest');
  const found = await findAttestations(store, image, 'sbom');
  const own = found.length === 0 ? new Set() : await ownAttestations(store);
  return found.map(({ digest }) => ({
    digest,
    isForeign: !own.has(digest),
    read: async () => readAttestation(store, { digest }),
  }));
}

/**
 * Returns SBOMs in SPDX: known ones, and what foreign ones add to them.
 * @param inspect returns an SBOM of the image's layers, for an image without a known one
 * @throws IMAGE_INVALID, NOT_FOUND, DIGEST_MISMATCH
 */
export async function spdxSboms(
  sboms: readonly StoredSbom[],
  inspect?: () => Promise<SpdxDocument>,
): Promise<{ readonly known: readonly SpdxDocument[]; readonly added: readonly SpdxDocument[] }> {
  const { additionsTo, parseSpdx } = await import('@lkt/attest');
  const known: SpdxDocument[] = [];
  const foreign: SpdxDocument[] = [];
  for (const { isForeign, read } of sboms)
    (isForeign ? foreign : known).push(parseSpdx(await read()));
  // A foreign SBOM may lack anything.
  if (known.length === 0 && inspect !== undefined) known.push(await inspect());
  return { known, added: foreign.map((one) => additionsTo(known, one)) };
}
