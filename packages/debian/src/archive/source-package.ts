import { basename } from 'node:path';
import { type Digest, isDigest, LktError } from '@lkt/core';
import { type RawPath, toRaw } from '@lkt/oci';
import { parseDeb822, words } from '../deb/deb822.ts';
import { type LockedPackage, SOURCE_ARCHITECTURE, SOURCE_PREFIX } from '../lock/lock.ts';
import type { ArchiveName } from './mirror.ts';
import { isPoolPath } from './packages-index.ts';
import { formatAlternative, meets, parseAlternative } from '../lock/relation.ts';
import { compareVersions } from '../lock/version.ts';

/** A source package as an archive's Sources file lists it. */
export interface IndexedSource {
  readonly name: string;
  readonly version: string;
  readonly archive: ArchiveName;
  readonly files: readonly {
    /** Below the archive's address: `pool/…`. */
    readonly path: string;
    readonly size: number;
    readonly digest: Digest;
  }[];
}

/** Where the tarball of a source package is in an image. */
export function sourcePath({ path }: Pick<LockedPackage, 'path'>): RawPath {
  return toRaw(`usr/src/${basename(path)}`);
}

/**
 * Chooses the upstream tarball of each source package that is wanted: of the newest version, or of the one the relation
 * names. What the distribution adds, its patches, is in files of its own and does not come along.
 * @throws LktError DEPENDENCY_UNRESOLVED, UNSUPPORTED
 */
export function resolveSources(
  wishes: readonly string[],
  versions: (name: string) => readonly IndexedSource[],
): LockedPackage[] {
  return wishes.map((text) => {
    const wanted = parseAlternative(text);
    const found = versions(wanted.name).toSorted((a, b) => compareVersions(b.version, a.version));
    const item = found.find((source) =>
      meets({ ...source, architecture: SOURCE_ARCHITECTURE, provides: [] }, wanted),
    );
    if (item !== undefined) return upstreamTarball(item);
    const [newest] = found;
    const reason =
      newest === undefined
        ? `there is no source package ${wanted.name}`
        : `the source ${formatAlternative(wanted)} is wanted, the newest is ${newest.version}`;
    throw new LktError('DEPENDENCY_UNRESOLVED', reason, {
      fix: 'correct the names under "sources" of "debian"',
    });
  });
}

export function newestVersion(sources: readonly IndexedSource[]): string | undefined {
  return sources
    .map(({ version }) => version)
    .toSorted(compareVersions)
    .at(-1);
}

/** `linux_6.12.107.orig.tar.xz`; further components of a source are `….orig-NAME.tar.xz` (dpkg-source(1), 3.0). */
export function upstreamTarball({ name, version, archive, files }: IndexedSource): LockedPackage {
  const upstream = files.filter(({ path }) =>
    /\.orig(?:-[A-Za-z0-9-]+)?\.tar\.[a-z0-9]+$/.test(path),
  );
  const [tarball, another] = upstream;
  if (tarball === undefined || another !== undefined)
    throw new LktError(
      'UNSUPPORTED',
      tarball === undefined
        ? `the source ${name} ${version} has no upstream tarball: it is made for Debian alone`
        : `the source ${name} ${version} has several upstream tarballs`,
      { fix: 'take it out of "sources"' },
    );
  const architecture = SOURCE_ARCHITECTURE;
  return { name: `${SOURCE_PREFIX}${name}`, version, architecture, archive, ...tarball };
}

/**
 * Reads a paragraph of Sources (Debian policy §5.6.24, Checksums-Sha256).
 * @throws LktError ARCHIVE_INVALID
 */
export function parseSource(paragraph: string, archive: ArchiveName): IndexedSource {
  const [fields = new Map<string, string>()] = parseDeb822(paragraph, 'Sources');
  const name = fields.get('package') ?? '';
  const field = (key: string): string => {
    const value = fields.get(key);
    if (value === undefined)
      throw new LktError(
        'ARCHIVE_INVALID',
        `the index of ${archive}: the source ${name} has no ${key}`,
      );
    return value;
  };
  const directory = field('directory');
  const files = field('checksums-sha256')
    .split('\n')
    .map(words)
    .filter((line) => line.length > 0)
    .map(([hash = '', length = '', file = '']) => {
      const digest = `sha256:${hash}`;
      const path = `${directory}/${file}`;
      if (
        !isDigest(digest) ||
        !/^[1-9]\d{0,11}$/.test(length) ||
        file.includes('/') ||
        !isPoolPath(path)
      )
        throw new LktError(
          'ARCHIVE_INVALID',
          `the index of ${archive}: the entry of the source ${name} is damaged`,
        );
      return { path, size: Number(length), digest };
    });
  return { name, version: field('version'), archive, files };
}
