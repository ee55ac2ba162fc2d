import type { SpdxDocument } from '@lkt/attest';
import { canonicalJson, type Digest, digestOf } from '@lkt/core';
import type { Store } from '@lkt/oci';
import { ownAttestations } from './own-attestations.ts';

/** An SBOM that the store has of an image. */
export interface StoredSbom {
  readonly digest: Digest;
  /**
   * Whether others wrote it, and no trusted signer signed it: anyone with access to a registry can
   * attach an SBOM there.
   */
  readonly isForeign: boolean;
  readonly read: () => Promise<Buffer>;
}

/**
 * Returns the SBOMs beside an image, ordered by digest, then those that are only in attestations.
 * @param signed SBOMs in attestations by trusted signers
 */
export async function storedSboms(
  store: Store,
  image: Digest,
  signed: readonly unknown[] = [],
): Promise<readonly StoredSbom[]> {
  // Loaded on demand: most commands read no SBOM.
  const { findAttestations, readAttestation } = await import('@lkt/attest');
  const found = await findAttestations(store, image, 'sbom');
  const own = found.length === 0 ? new Set() : await ownAttestations(store);
  const attested = new Map(
    signed.map((document) => {
      const bytes = Buffer.from(canonicalJson(document));
      return [digestOf(bytes), bytes];
    }),
  );
  const sboms: StoredSbom[] = [];
  for (const { digest } of found) {
    const read = async (): Promise<Buffer> => readAttestation(store, { digest });
    // The attestation below has the same document.
    if (attested.size > 0 && attested.has(await canonicalDigest(read))) continue;
    sboms.push({ digest, isForeign: !own.has(digest), read });
  }
  for (const [digest, bytes] of attested)
    sboms.push({ digest, isForeign: false, read: async () => bytes });
  return sboms;
}

/** Returns the digest of a document in canonical form; of its bytes if it is not JSON. */
async function canonicalDigest(read: () => Promise<Buffer>): Promise<Digest> {
  const bytes = await read();
  try {
    return digestOf(Buffer.from(canonicalJson(JSON.parse(bytes.toString()))));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return digestOf(bytes);
  }
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
