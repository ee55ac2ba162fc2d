import type { SpdxDocument } from '@lkt/attest';
import { canonicalJson, type Digest, digestOf, LktError, readJson } from '@lkt/core';
import { CONTENT_ERRORS, type Store } from '@lkt/oci';
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
    const canonical = attested.size > 0 ? await canonicalDigest(read) : undefined;
    // The attestation below has the same document.
    if (canonical !== undefined && attested.has(canonical)) continue;
    sboms.push({ digest, isForeign: !own.has(digest), read });
  }
  for (const [digest, bytes] of attested)
    sboms.push({ digest, isForeign: false, read: async () => bytes });
  return sboms;
}

/** Returns the digest of a document in canonical form; undefined if it cannot be read. */
async function canonicalDigest(read: StoredSbom['read']): Promise<Digest | undefined> {
  try {
    return digestOf(Buffer.from(canonicalJson(parseDocument(await read()))));
  } catch (error) {
    if (isContentError(error)) return undefined;
    throw error;
  }
}

/**
 * Parses an attached document of any kind.
 * @throws IMAGE_INVALID
 */
export function parseDocument(bytes: Uint8Array): unknown {
  return readJson(bytes, (value) => value, { code: 'IMAGE_INVALID', what: 'not JSON' });
}

/** Reports whether an error is about the content of an attached document. */
export function isContentError(error: unknown): error is LktError {
  return error instanceof LktError && ['CONFIG_INVALID', ...CONTENT_ERRORS].includes(error.code);
}

/**
 * Returns SBOMs of an image without those of others that cannot be read, each of which is a
 * warning: an error would let anyone with access to a registry stop a build.
 * @param name of the image, for the warnings
 * @param parse throws IMAGE_INVALID or CONFIG_INVALID for a document that the caller cannot read
 */
export async function withoutBroken(
  sboms: readonly StoredSbom[],
  name: string,
  parse: (bytes: Buffer) => unknown,
  warn: (text: string) => void,
): Promise<readonly StoredSbom[]> {
  const found: StoredSbom[] = [];
  let broken = 0;
  for (const sbom of sboms)
    try {
      if (sbom.isForeign) parse(await sbom.read());
      found.push(sbom);
    } catch (error) {
      if (!isContentError(error)) throw error;
      broken += 1;
      if (broken > MAX_WARNINGS) continue;
      const what = `the SBOM ${sbom.digest}, which others attached to ${name}`;
      warn(`${what}, is not used: ${error.message}`);
    }
  const more = broken - MAX_WARNINGS;
  if (more > 0) warn(`${more} more SBOMs that others attached to ${name} cannot be used`);
  return found;
}

/** Warnings of `withoutBroken` about one image. */
const MAX_WARNINGS = 5;

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
