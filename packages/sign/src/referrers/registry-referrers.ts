import { type Digest, digestAlgorithm, digestHex, undefinedIf, uniqueBy } from '@lkt/core';
import { type Descriptor, isIndexType, parseIndex, type Reference } from '@lkt/oci';
import type { RegistryReader } from '@lkt/registry';

/**
 * Returns the tag for the referrers of an image (distribution-spec, "Referrers Tag Schema"). cosign
 * 2 adds `.sig` and `.att`.
 */
export function referrersTag(subject: Digest): string {
  return `${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`;
}

type Subject = Reference & { readonly digest: Digest };

/**
 * Returns the referrers of an image by the API and at the fallback tag: a registry that gained the
 * API may still have earlier ones there.
 */
export async function referrersOf(
  registry: RegistryReader,
  image: Subject,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  const lists = await Promise.all([
    listedReferrers(registry, image, signal),
    taggedReferrers(registry, image, signal),
  ]);
  return uniqueBy(lists.flat(), (item) => item.digest);
}

/** Returns the referrers that the registry lists by the API. */
export async function listedReferrers(
  registry: RegistryReader,
  { domain, path, digest }: Subject,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  return (await registry.queryReferrers({ domain, path, digest }, signal)) ?? [];
}

/** Returns the referrers at the fallback tag. */
export async function taggedReferrers(
  registry: RegistryReader,
  { domain, path, digest }: Subject,
  signal: AbortSignal | undefined,
): Promise<readonly Descriptor[]> {
  const tagged = await findManifest(registry, { domain, path, tag: referrersTag(digest) }, signal);
  const isIndex = tagged !== undefined && isIndexType(tagged.descriptor.mediaType);
  return isIndex ? parseIndex(tagged.bytes).manifests : [];
}

/** Returns a manifest, or undefined if the registry does not have it. */
export async function findManifest(
  registry: RegistryReader,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<{ readonly descriptor: Descriptor; readonly bytes: Buffer } | undefined> {
  return registry.fetchManifest(reference, signal).catch(undefinedIf('NOT_FOUND'));
}
