import { isDigest } from '@lkt/core';
import { type CacheArea, fileArea } from '@lkt/oci';

/** What building packages keeps in a store beside its blobs. */
export const packageCacheAreas: readonly CacheArea[] = [
  fileArea('results', 'results', (content) => [content.trim()].filter((text) => isDigest(text))),
  fileArea('checks', 'checks'),
  fileArea('archives', 'archives', (content) =>
    content.split('\n').filter((text) => isDigest(text)),
  ),
  // Those in "layers" nobody makes any more.
  ...['entries', 'layers', 'owners', 'records'].map((kind) =>
    fileArea('attestations', `attestations/${kind}`),
  ),
];
