import { ApiError, sendJson } from './responses.ts';
import { type RequestContext, page } from './request-context.ts';
import { documentOf } from './manifests.ts';
import { parsedDigest } from './storage.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';

/** Handles tag lists (distribution-spec, "Listing Tags"). */
export function handleTags(context: RequestContext): void {
  const { response, method, url, name, storage } = context;
  if (method !== 'GET') throw new ApiError(405, 'UNSUPPORTED');
  const all = [...storage.repository(name).tags.keys()].toSorted();
  const count = url.searchParams.get('n');
  const { items, headers } = page(
    context,
    all,
    (tag) => tag,
    count === null ? undefined : Number(count),
  );
  sendJson(response, { name, tags: items }, headers);
}

/** Handles referrers (distribution-spec, "Listing Referrers"). */
export function handleReferrers(context: RequestContext, digest: string): void {
  const { response, method, url, name, storage, options } = context;
  if (method !== 'GET') throw new ApiError(405, 'UNSUPPORTED');
  if (options.referrers === false) throw new ApiError(404, 'UNSUPPORTED');
  parsedDigest(digest);
  const repository = storage.repositories.get(name);
  const wanted = url.searchParams.get('artifactType');
  const all = [...(repository?.manifests ?? [])].flatMap(([own, manifest]) => {
    const { subject, config, artifactType, annotations } = documentOf(manifest);
    const type = artifactType ?? config?.mediaType;
    if (subject?.digest !== digest || (wanted !== null && type !== wanted)) return [];
    const { mediaType, bytes } = manifest;
    const size = bytes.length;
    return [{ mediaType, digest: own, size, artifactType: type, annotations }];
  });
  const sorted = all.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  const { items, headers } = page(context, sorted, (item) => item.digest, undefined);
  sendJson(
    response,
    { schemaVersion: 2, mediaType: INDEX, manifests: items },
    {
      ...headers,
      'content-type': INDEX,
      ...(wanted === null ? {} : { 'oci-filters-applied': 'artifactType' }),
    },
  );
}
