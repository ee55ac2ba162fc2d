import { Refusal, sendJson } from './answer.ts';
import { type Exchange, page } from './exchange.ts';
import { documentOf } from './manifests.ts';
import { parsedDigest } from './storage.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';

/** distribution-spec, "Listing Tags" */
export function answerTags(exchange: Exchange): void {
  const { response, method, url, name, storage } = exchange;
  if (method !== 'GET') throw new Refusal(405, 'UNSUPPORTED');
  const all = [...storage.repository(name).tags.keys()].toSorted();
  const count = url.searchParams.get('n');
  const { items, headers } = page(
    exchange,
    all,
    (tag) => tag,
    count === null ? undefined : Number(count),
  );
  sendJson(response, { name, tags: items }, headers);
}

/** "Listing Referrers" */
export function answerReferrers(exchange: Exchange, digest: string): void {
  const { response, method, url, name, storage, options } = exchange;
  if (method !== 'GET') throw new Refusal(405, 'UNSUPPORTED');
  if (options.referrers === false) throw new Refusal(404, 'UNSUPPORTED');
  parsedDigest(digest);
  const repository = storage.repositories.get(name);
  const wanted = options.filters === false ? null : url.searchParams.get('artifactType');
  const all = [...(repository?.manifests ?? [])].flatMap(([own, manifest]) => {
    const { subject, config, artifactType, annotations } = documentOf(manifest);
    const type = artifactType ?? config?.mediaType;
    if (subject?.digest !== digest || (wanted !== null && type !== wanted)) return [];
    const { mediaType, bytes } = manifest;
    return [
      {
        mediaType,
        digest: own,
        size: bytes.length,
        artifactType: type,
        annotations,
      },
    ];
  });
  const sorted = all.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
  const { items, headers } = page(exchange, sorted, (item) => item.digest, undefined);
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
