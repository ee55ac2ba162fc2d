import { LktError } from '@lkt/core';
import type { HttpClient } from '@lkt/http';
import { Archive, type ArchiveOptions } from './archive.ts';
import { download, mirrorClient } from './download.ts';
import type { DebianSpec, LockedPackage } from '../lock/lock.ts';
import type { Mirror } from './mirror.ts';
import { upstreamTarball } from './source-package.ts';
import { compareVersions, newestFirst, upstreamVersion } from '../lock/version.ts';

/** The result of `newestSource`. */
export interface NewestSource {
  /**
   * The newest version whose tarball the mirror serves; undefined if none is newer than the given
   * one.
   */
  readonly newest: LockedPackage | undefined;
  /** Versions newer than `newest` that the index lists but no address of the mirror serves. */
  readonly notServed: readonly string[];
}

/**
 * Finds the newest version of a source package with a newer upstream version than `than`. Requests
 * the first bytes of each tarball, because an archive lists sources that it no longer serves.
 * @throws SIGNATURE_INVALID, DIGEST_MISMATCH, NETWORK_FAILED, NOT_FOUND, TOOL_MISSING,
 * ARCHIVE_INVALID, UNSUPPORTED
 */
export async function newestSource(
  spec: DebianSpec,
  {
    name,
    than,
    accepts,
  }: {
    readonly name: string;
    readonly than: string;
    readonly accepts: (version: string) => boolean;
  },
  mirror: Mirror,
  options: ArchiveOptions,
): Promise<NewestSource> {
  await using archive = await Archive.open({ ...spec, withSources: true }, mirror, options);
  const sources = newestFirst(
    archive.sources(name).filter(({ version }) => accepts(version) && isNewer(version, than)),
  );
  // Both the main and the security archive may have the version.
  await using http = mirrorClient(mirror);
  const notServed = new Set<string>();
  for (const source of sources) {
    const tarball = upstreamTarball(source);
    if (await isServed(tarball, http, mirror, options))
      return { newest: tarball, notServed: [...notServed] };
    notServed.add(source.version);
  }
  return { newest: undefined, notServed: [...notServed] };
}

/** A new Debian revision has the same upstream tarball. */
function isNewer(version: string, than: string): boolean {
  return compareVersions(upstreamVersion(version), upstreamVersion(than)) > 0;
}

async function isServed(
  { archive, path }: LockedPackage,
  http: HttpClient,
  mirror: Mirror,
  { signal }: ArchiveOptions,
): Promise<boolean> {
  try {
    return await download(http, mirror, archive, path, hasBytes, { signal });
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

/** Stops after the first chunk. */
async function hasBytes(content: AsyncIterable<Uint8Array>): Promise<boolean> {
  for await (const _ of content) return true;
  return false;
}
