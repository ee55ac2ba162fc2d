import { isDigest } from '@lkt/core';
import { type CacheArea, fileArea } from '@lkt/oci';

/** The directories of the store in which package builds keep data beside blobs. */
export const packageCacheAreas: readonly CacheArea[] = [
  fileArea('results', 'results', (content) => [content.trim()].filter((text) => isDigest(text))),
  fileArea('checks', 'checks'),
  fileArea('archives', 'archives', (content) =>
    content.split('\n').filter((text) => isDigest(text)),
  ),
  // "layers" is from earlier versions, and only cleaned up.
  ...['entries', 'layers', 'owners', 'records'].map((kind) =>
    fileArea('attestations', `attestations/${kind}`),
  ),
];
