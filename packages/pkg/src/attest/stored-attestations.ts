import type { AttestationKind } from '@lkt/attest';
import { type Digest, LktError } from '@lkt/core';
import {
  familiarReference,
  formatReference,
  loadImage,
  parseReference,
  type Platform,
  type Reference,
  type Store,
} from '@lkt/oci';

/** An attestation in the store. */
interface StoredAttestation {
  readonly digest: Digest;
  readonly read: () => Promise<Buffer>;
}

/**
 * Returns the attestations of one kind that the store has for an image: for its index, or for its
 * manifest of a platform. There are several if several builds produced the same image, or if others
 * attached some.
 * @param text reference with a digest or tag, or the name alone if the store has one image of it
 * @throws NOT_FOUND if the store lacks the image or has no such attestation
 * @throws USAGE_INVALID if the name alone is ambiguous
 * @throws REFERENCE_INVALID
 * @example
 * ```ts
 * const [sbom] = await storedAttestations(store, 'lkt/sshd', 'sbom', parsePlatform('linux/arm64'));
 * ```
 */
export async function storedAttestations(
  store: Store,
  text: string,
  kind: AttestationKind,
  platform?: Platform,
): Promise<readonly StoredAttestation[]> {
  const { findAttestations, readAttestation } = await import('@lkt/attest');
  const reference = parseReference(text);
  const digest = reference.digest ?? (await resolve(store, reference));
  const subject =
    platform === undefined ? digest : (await loadImage(store, digest, platform)).descriptor.digest;
  const found = await findAttestations(store, subject, kind);
  if (found.length === 0) {
    const what = kind === 'sbom' ? 'SBOM' : 'provenance';
    throw new LktError('NOT_FOUND', `the store has no ${what} of ${text}`, {
      fix: 'build the package: lkt pkg build DIR',
    });
  }
  return found.map((referrer) => ({
    digest: referrer.digest,
    read: async () => readAttestation(store, referrer),
  }));
}

/** Resolves by name and tag, or by the name alone if the store has one image of that name. */
async function resolve(store: Store, reference: Reference): Promise<Digest> {
  const full = formatReference(reference);
  const found = (await store.tags()).filter(
    (tag) =>
      tag.reference === full ||
      (reference.tag === undefined && tag.reference.startsWith(`${full}:`)),
  );
  const [digest, ...more] = new Set(found.map(({ descriptor }) => descriptor.digest));
  const name = familiarReference(reference);
  if (more.length > 0) {
    throw new LktError('USAGE_INVALID', `the store has several images of ${name}`, {
      fix: `add a tag: ${found.map((tag) => familiarReference(parseReference(tag.reference))).join(', ')}`,
    });
  }
  if (digest !== undefined) return digest;
  throw new LktError('NOT_FOUND', `${name} is not in the store`, {
    fix: 'list the images: lkt cache ls',
  });
}
