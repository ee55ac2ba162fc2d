import { cacheFilePath, writeCacheFile } from '@lkt/attest/cache-file';
import { type Digest, digestHex } from '@lkt/core';
import type { DebFile } from '@lkt/debian';
import type { Store } from '@lkt/oci';

/** Says of a file of an image of .debs whose it is, in one line: package, size, path. */
export function ownerLine({ item, path, size }: DebFile): string {
  return `${item.name} ${size} ${JSON.stringify(path)}`;
}

/** Remembers whose the files of an image of .debs are, which is known while it is made. */
export async function rememberOwners(
  store: Store,
  image: Digest,
  files: readonly DebFile[],
): Promise<void> {
  await writeCacheFile(cacheFilePath(store, 'owners', digestHex(image)), files.map(ownerLine));
}
