import { LktError } from '@lkt/core';
import type { HttpClient } from '@lkt/http';
import { Archive, type ArchiveOptions } from './archive.ts';
import { download, mirrorClient } from './download.ts';
import type { DebianSpec, LockedPackage } from '../lock/lock.ts';
import type { Mirror } from './mirror.ts';
import { upstreamTarball } from './source-package.ts';
import { compareVersions, upstreamVersion } from '../lock/version.ts';

export interface NewestSource {
  /** Of those that are newer: the newest whose tarball can be had. */
  readonly newest: LockedPackage | undefined;
  /** Versions after `newest` that the index has, and no address of the mirror serves. */
  readonly notServed: readonly string[];
}

/**
 * Looks for the newest version of a source package with another upstream tarball than `than` has. An archive lists
 * sources that it no longer serves; of each the first bytes are asked for.
 * @param accepts says which versions come into question
 * @throws LktError what opening the archive throws; NETWORK_FAILED, UNSUPPORTED
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
  const sources = archive
    .sources(name)
    .filter(({ version }) => accepts(version) && isNewer(version, than))
    .toSorted((a, b) => compareVersions(b.version, a.version));
  // The main archive and that of security updates may both have a version.
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

/** What the distribution alone has changed is in no tarball of upstream's. */
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

/** Reads no further than it has to. */
async function hasBytes(content: AsyncIterable<Uint8Array>): Promise<boolean> {
  for await (const _ of content) return true;
  return false;
}
