import { isDigest } from '@lkt/core';
import { adoptable, type CacheArea, fileArea } from '@lkt/oci';

/** The directories of the store in which package builds keep data beside blobs. */
export const packageCacheAreas: readonly CacheArea[] = [
  fileArea('results', 'results', {
    ...adoptable,
    blobsOf: (content) => [content.trim()].filter((text) => isDigest(text)),
    // Earlier versions ended a result with a newline.
    adopt: (content) => content.trimEnd(),
  }),
  fileArea('checks', 'checks', adoptable),
  fileArea('archives', 'archives', {
    ...adoptable,
    blobsOf: (content) => content.split('\n').filter((text) => isDigest(text)),
    adopt: withoutEnd,
  }),
  ...['bases', 'contents', 'debs', 'libraries', 'owners', 'records'].map((kind) =>
    fileArea('attestations', `attestations/${kind}`, { ...adoptable, adopt: withoutEnd }),
  ),
  // From earlier versions, and only cleaned up.
  fileArea('attestations', 'attestations/entries'),
  fileArea('attestations', 'attestations/files'),
  fileArea('attestations', 'attestations/layers'),
];

/** Removes the mark of complete files of earlier versions. */
function withoutEnd(text: string): string {
  return text.replace(/(?<=^|\n)end$/, '');
}
