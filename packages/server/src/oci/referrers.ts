import { isDigest } from '@lkt/core';
import { type Descriptor, MediaType } from '@lkt/oci';
import { type Exchange, requireRead, sendBytes } from '../exchange.ts';
import { ApiError } from '../api-error.ts';

/** Maximum bytes of a page. Clients read a page as a manifest, of at most 4 MiB. */
const MAX_PAGE_BYTES = 2 ** 20;

/**
 * Sends a page of the referrers of a manifest (distribution-spec, "Listing Referrers"). Annotations
 * that fit into no page are left out: the manifest has them.
 */
export async function sendReferrers(
  exchange: Exchange,
  repository: string,
  subject: string,
): Promise<void> {
  const { store, url } = exchange;
  requireRead(exchange);
  if (!isDigest(subject)) throw new ApiError(400, 'DIGEST_INVALID', 'invalid digest');
  const type = url.searchParams.get('artifactType') ?? undefined;
  const last = url.searchParams.get('last') ?? '';
  const all = await store.referrers(subject, type);
  const rest = all.filter(({ digest }) => digest > last);
  const manifests = pageOf(rest);
  const index = { schemaVersion: 2, mediaType: MediaType.ociIndex, manifests };
  const query = new URLSearchParams({
    last: manifests.at(-1)?.digest ?? '',
    ...(type === undefined ? {} : { artifactType: type }),
  });
  sendBytes(exchange, Buffer.from(JSON.stringify(index)), {
    'content-type': MediaType.ociIndex,
    ...(type === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
    ...(manifests.length === rest.length
      ? {}
      : { link: `</v2/${repository}/referrers/${subject}?${query.toString()}>; rel="next"` }),
  });
}

/** Returns as many of the descriptors as fit into a page, at least one. */
function pageOf(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const page: Descriptor[] = [];
  let size = 0;
  for (const descriptor of descriptors) {
    const { annotations, ...bare } = descriptor;
    const fits = bytesOf(annotations ?? {}) <= MAX_PAGE_BYTES;
    const item = annotations !== undefined && fits ? { ...bare, annotations } : bare;
    size += bytesOf(item);
    if (size > MAX_PAGE_BYTES && page.length > 0) break;
    page.push(item);
  }
  return page;
}

function bytesOf(value: object): number {
  return Buffer.byteLength(JSON.stringify(value));
}
