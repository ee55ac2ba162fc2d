import { type RawPath, readTar, type Store } from '@lkt/oci';
import { debTar } from './deb.ts';
import { type DebianLock, type LockedPackage, SOURCE_ARCHITECTURE } from '../lock/lock.ts';
import { sourcePath } from '../archive/source-package.ts';
import { mergeUsr } from '../assemble/usr-merge.ts';
import { findXzDecoder } from './xz.ts';

/** A file of a locked package, at the path where `assemble` puts it. */
export interface DebFile {
  readonly item: LockedPackage;
  readonly path: RawPath;
  readonly size: number;
}

/**
 * Returns the non-empty files of locked packages. Unpacks the .debs, which the store must have.
 * @throws NOT_FOUND, ARCHIVE_INVALID, DIGEST_MISMATCH
 */
export async function* debFiles(
  lock: DebianLock,
  store: Store,
  signal?: AbortSignal,
): AsyncGenerator<DebFile> {
  const decoder = await findXzDecoder();
  for (const item of lock.packages) {
    signal?.throwIfAborted();
    if (item.architecture === SOURCE_ARCHITECTURE) {
      yield { item, path: sourcePath(item), size: item.size };
      continue;
    }
    const sizes = new Map<RawPath, number>();
    const what = `${item.name} ${item.version}`;
    for await (const entry of readTar(debTar(store.read(item), { what, decoder }))) {
      if (entry.type === 'file') sizes.set(mergeUsr(entry.path), entry.size);
      else if (entry.type === 'hardlink')
        sizes.set(mergeUsr(entry.path), sizes.get(mergeUsr(entry.link ?? '')) ?? 0);
    }
    for (const [path, size] of sizes) if (size > 0) yield { item, path, size };
  }
}
