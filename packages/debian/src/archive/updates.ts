import { LktError, mapConcurrent, uniqueBy } from '@lkt/core';
import { Archive, type ArchiveOptions, type Suite } from './archive.ts';
import { readAr } from '../deb/ar.ts';
import { download, mirrorClient } from './download.ts';
import { type LockedPackage, SOURCE_PREFIX } from '../lock/lock.ts';
import type { ArchiveName, Mirror } from './mirror.ts';
import { compareVersions, newestFirst, upstreamVersion } from '../lock/version.ts';

/** A binary package, or `src:NAME` for the tarball of a source package, in one version. */
export interface InstalledPackage {
  readonly name: string;
  readonly version: string;
}

/** A newer version of a package. */
export interface PackageUpdate extends InstalledPackage {
  /** The newest version in the archives. */
  readonly newest: string;
  /** The archive with the newest version. */
  readonly archive: ArchiveName;
  /**
   * Whether a newer version has security fixes: one of the security archive, or one of a point
   * release that follows it.
   */
  readonly isSecurity: boolean;
  /**
   * When the first such version that the archives still have was made, by the header of its .deb
   * (ISO 8601). Undefined without `withDates`, and where the file does not say it or states a time
   * after `now`.
   */
  readonly securitySince?: string;
}

/** Options of a search for newer versions in archives. */
export interface UpdateOptions extends ArchiveOptions {
  /** Request the headers of .debs with security fixes for their dates. */
  readonly withDates?: boolean;
  /** Called with each package of which the archives have no version, so that nothing is known. */
  readonly onUnknown?: (item: InstalledPackage) => void;
}

/** Maximum concurrent requests for dates. */
const REQUESTS = 6;

/**
 * Returns the packages for which the archives of a suite have a newer version. The archives'
 * signatures are verified; the dates are not, for only the whole .deb has a digest.
 * @throws SIGNATURE_INVALID, DIGEST_MISMATCH, NETWORK_FAILED, NOT_FOUND, TOOL_MISSING,
 * ARCHIVE_INVALID
 */
export async function findUpdates(
  suite: Suite,
  packages: readonly InstalledPackage[],
  mirror: Mirror,
  options: UpdateOptions,
): Promise<readonly PackageUpdate[]> {
  const withSources = packages.some(({ name }) => name.startsWith(SOURCE_PREFIX));
  await using archive = await Archive.open({ ...suite, withSources }, mirror, options);
  const found = packages.flatMap((item) => {
    if (!isKnown(archive, item)) options.onUnknown?.(item);
    const newer = newerVersions(archive, item);
    const [newest] = newer;
    if (newest === undefined) return [];
    const fixes = newer.filter(isSecurityUpdate);
    const { name, version } = item;
    const update = { name, version, newest: newest.version, archive: newest.archive };
    return [{ update: { ...update, isSecurity: fixes.length > 0 }, fixes }];
  });
  if (options.withDates !== true) return found.map(({ update }) => update);
  const debs = found.flatMap(({ fixes }) => fixes.filter(isDeb));
  const dates = await datesOf(debs, mirror, options.signal);
  const latest = options.now?.toISOString() ?? '~';
  return found.map(({ update, fixes }) => {
    const [first] = fixes
      .flatMap(({ path = '' }) => dates.get(path) ?? [])
      .filter((date) => date <= latest)
      .toSorted();
    return first === undefined ? update : { ...update, securitySince: first };
  });
}

/** A version of a package; that of a source package has no path. */
type Version = Pick<LockedPackage, 'version' | 'archive'> & Partial<Pick<LockedPackage, 'path'>>;
type Deb = Required<Version>;

function isDeb(version: Version): version is Deb {
  return version.path !== undefined;
}

function isKnown(archive: Archive, { name }: InstalledPackage): boolean {
  if (!name.startsWith(SOURCE_PREFIX)) return archive.versions(name).length > 0;
  return archive.sources(name.slice(SOURCE_PREFIX.length)).length > 0;
}

/** Returns later versions, the newest first. A new Debian revision has the same tarball. */
function newerVersions(archive: Archive, { name, version }: InstalledPackage): readonly Version[] {
  if (!name.startsWith(SOURCE_PREFIX))
    return archive.versions(name).filter((item) => compareVersions(item.version, version) > 0);
  const than = upstreamVersion(version);
  return newestFirst(archive.sources(name.slice(SOURCE_PREFIX.length)))
    .filter((item) => compareVersions(upstreamVersion(item.version), than) > 0)
    .map((item) => ({ version: item.version, archive: item.archive }));
}

/**
 * Reports whether a version is from the security archive, or an update of a stable release,
 * `1.2-3+deb13u1`: a point release has those of the security archive, which no longer lists them.
 */
function isSecurityUpdate({ archive, version }: Version): boolean {
  return archive === 'debian-security' || /[+~]deb\d+u\d+/.test(version);
}

/** Returns when each .deb was made, by path. Reads only the beginning of the files. */
async function datesOf(
  debs: readonly Deb[],
  mirror: Mirror,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, string>> {
  const dates = new Map<string, string>();
  await using http = mirrorClient(mirror, { connections: REQUESTS });
  const request = async ({ archive, path }: Deb, stop: AbortSignal): Promise<void> => {
    try {
      const date = await download(http, mirror, archive, path, dateOf, { signal: stop });
      if (date !== undefined) dates.set(path, date);
    } catch (error) {
      // A mirror may lag behind its index.
      if (!(error instanceof LktError) || !UNKNOWN_DATE.has(error.code)) throw error;
    }
  };
  const files = uniqueBy(debs, ({ path }) => path);
  await mapConcurrent(files, request, { concurrency: REQUESTS, signal });
  return dates;
}

const UNKNOWN_DATE: ReadonlySet<string> = new Set(['NOT_FOUND', 'ARCHIVE_INVALID']);

/** Returns the time of a .deb's first member, which dpkg-deb takes from the changelog. */
async function dateOf(content: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  for await (const { time } of readAr(content))
    return time === undefined ? undefined : new Date(time * 1000).toISOString();
  return undefined;
}
