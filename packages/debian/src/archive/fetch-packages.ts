import { LktError, mapConcurrent, type Reporter, reportStep } from '@lkt/core';
import type { HttpClient, HttpOptions } from '@lkt/http';
import type { Store } from '@lkt/oci';
import { Archive, type ArchiveOptions } from './archive.ts';
import { download, type DownloadOptions, mirrorClient } from './download.ts';
import { type DebianLock, type LockedPackage, SOURCE_PREFIX } from '../lock/lock.ts';
import type { Mirror } from './mirror.ts';
import { newestFirst } from '../lock/version.ts';

/** Options of `fetchPackages`. */
export interface FetchOptions extends Pick<HttpOptions, 'backoff' | 'idle'> {
  readonly reporter: Reporter;
  readonly signal?: AbortSignal | undefined;
  /** Directory of the package, for the `fix` of DEB_GONE. */
  readonly directory?: string;
  readonly keyrings?: ArchiveOptions['keyrings'];
}

/** Maximum concurrent downloads. */
const DOWNLOADS = 6;

/**
 * Downloads the .debs of a lock into the store, and verifies each digest on the way. Skips those
 * that the store has; if it has all of them, neither a mirror nor the network is needed.
 * @throws DEB_GONE, DIGEST_MISMATCH, NETWORK_FAILED, DISK_FULL
 * @example
 * ```ts
 * await fetchPackages(lock, store, async () => findMirror({ env }), { reporter });
 * const layer = await writeLayer(store, assemble(lock, store, block, { reporter }));
 * ```
 */
export async function fetchPackages(
  lock: DebianLock,
  store: Store,
  mirror: Mirror | (() => Promise<Mirror>),
  options: FetchOptions,
): Promise<void> {
  const missing: LockedPackage[] = [];
  for (const item of lock.packages) if (!(await store.keep(item.digest))) missing.push(item);
  if (missing.length === 0) return;
  const from = typeof mirror === 'function' ? await mirror() : mirror;
  const { reporter, signal, backoff, idle } = options;
  await using http = mirrorClient(from, { connections: DOWNLOADS, backoff, idle });
  const id = `debs ${lock.suite} ${lock.architecture}`;
  const title = `${missing.length} Debian package${missing.length === 1 ? '' : 's'}`;
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let current = 0;
  const onBytes = (count: number): void => {
    current += count;
    reporter.emit({ kind: 'progress', id, current, total, unit: 'bytes' });
  };
  let gone: LockedPackage | undefined;
  const fetch = async (item: LockedPackage, stop: AbortSignal): Promise<void> => {
    try {
      await fetchOne(item, store, http, from, { signal: stop, onBytes });
    } catch (error) {
      if (error instanceof LktError && error.code === 'NOT_FOUND') gone ??= item;
      throw error;
    }
  };
  await reportStep(reporter, { id, title }, async () =>
    mapConcurrent(missing, fetch, { concurrency: DOWNLOADS, signal }),
  ).catch(async (error: unknown) => {
    throw gone === undefined ? error : await explainGone(gone, lock, store, from, options, error);
  });
}

async function fetchOne(
  { name, version, archive, path, digest, size }: LockedPackage,
  store: Store,
  http: HttpClient,
  mirror: Mirror,
  options: DownloadOptions,
): Promise<void> {
  try {
    await download(
      http,
      mirror,
      archive,
      path,
      (content) => store.write(content, { digest, size }, options.signal),
      { ...options, canReuseBuffers: true },
    );
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'DIGEST_MISMATCH') throw error;
    const what = name.startsWith(SOURCE_PREFIX) ? 'tarball' : '.deb';
    const problem = `the ${what} of ${name} ${version} does not match the lock`;
    throw new LktError('DIGEST_MISMATCH', problem, {
      cause: error,
      fix: 'set LKT_DEBIAN_MIRROR to another mirror',
    });
  }
}

/**
 * Returns DEB_GONE with the archive's newest version, if that can be determined. Mirrors keep old
 * versions only for a while.
 */
async function explainGone(
  { name, version }: LockedPackage,
  lock: DebianLock,
  store: Store,
  mirror: Mirror,
  { reporter, signal, directory, keyrings }: FetchOptions,
  cause: unknown,
): Promise<LktError> {
  let newer = '';
  try {
    const withSources = name.startsWith(SOURCE_PREFIX);
    const suite = { ...lock, withSources };
    await using archive = await Archive.open(suite, mirror, { store, reporter, signal, keyrings });
    const [newest] = withSources
      ? newestFirst(archive.sources(name.slice(SOURCE_PREFIX.length)))
      : archive.versions(name);
    if (newest === undefined) newer = ', and the archive has no other version';
    else if (newest.version !== version) newer = `; the archive has ${newest.version} now`;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
  }
  return new LktError('DEB_GONE', `${name} ${version} has left the mirror${newer}`, {
    cause,
    fix: `run lkt pkg lock ${directory ?? 'DIR'}`,
  });
}
