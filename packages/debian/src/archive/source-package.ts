import { basename } from 'node:path';
import { isDigest, LktError } from '@lkt/core';
import { type RawPath, toRaw } from '@lkt/oci';
import { parseDeb822, requiredFields, words } from '../deb/deb822.ts';
import { type LockedPackage, SOURCE_ARCHITECTURE, SOURCE_PREFIX } from '../lock/lock.ts';
import type { ArchiveName } from './mirror.ts';
import { isPoolPath, isSize } from './packages-index.ts';
import { formatAlternative, satisfies, parseAlternative } from '../lock/relation.ts';
import { isVersion, newestFirst } from '../lock/version.ts';

/** An entry of an archive's Sources file. */
export interface IndexedSource extends Pick<LockedPackage, 'name' | 'version' | 'archive'> {
  readonly files: readonly Pick<LockedPackage, 'path' | 'size' | 'digest'>[];
}

/** Returns the path of a source package's tarball in an image. */
export function sourcePath({ path }: Pick<LockedPackage, 'path'>): RawPath {
  return toRaw(`usr/src/${basename(path)}`);
}

/**
 * Returns the upstream tarball of each requested source package, in the newest version that
 * satisfies the request. Debian's patches are separate files and not included.
 * @throws DEPENDENCY_UNRESOLVED, UNSUPPORTED
 */
export function resolveSources(
  requirements: readonly string[],
  versions: (name: string) => readonly IndexedSource[],
): LockedPackage[] {
  return requirements.map((text) => {
    const wanted = parseAlternative(text);
    const found = newestFirst(versions(wanted.name));
    const item = found.find((source) =>
      satisfies({ ...source, architecture: SOURCE_ARCHITECTURE, provides: [] }, wanted),
    );
    if (item !== undefined) return upstreamTarball(item);
    const [newest] = found;
    const reason =
      newest === undefined
        ? `there is no source package ${wanted.name}`
        : `no version satisfies the source ${formatAlternative(wanted)}: the newest is ${newest.version}`;
    throw new LktError('DEPENDENCY_UNRESOLVED', reason, {
      fix: 'correct the names under "sources" of "debian"',
    });
  });
}

/**
 * Returns the upstream tarball, `linux_6.12.107.orig.tar.xz`. Further components of a source are
 * `….orig-NAME.tar.xz` (dpkg-source(1), 3.0).
 * @throws UNSUPPORTED if there is not exactly one
 */
export function upstreamTarball({ name, version, archive, files }: IndexedSource): LockedPackage {
  const upstream = files.filter(({ path }) =>
    /\.orig(?:-[A-Za-z0-9-]+)?\.tar\.[a-z0-9]+$/.test(path),
  );
  const [tarball, another] = upstream;
  if (tarball === undefined || another !== undefined)
    throw new LktError(
      'UNSUPPORTED',
      tarball === undefined
        ? `the source ${name} ${version} has no upstream tarball: it is native to Debian`
        : `the source ${name} ${version} has several upstream tarballs`,
      { fix: 'remove it from "sources"' },
    );
  const architecture = SOURCE_ARCHITECTURE;
  return { name: `${SOURCE_PREFIX}${name}`, version, architecture, archive, ...tarball };
}

/**
 * Parses a paragraph of Sources (Debian policy §5.6.24, Checksums-Sha256).
 * @throws ARCHIVE_INVALID
 */
export function parseSource(paragraph: string, archive: ArchiveName): IndexedSource {
  const [fields = new Map<string, string>()] = parseDeb822(paragraph, 'Sources');
  const name = fields.get('package') ?? '';
  const field = requiredFields(fields, `the index of ${archive}: the source ${name}`);
  const directory = field('directory');
  const version = field('version');
  const malformed = (): LktError =>
    new LktError(
      'ARCHIVE_INVALID',
      `the index of ${archive}: the entry of the source ${name} is malformed`,
    );
  if (!isVersion(version)) throw malformed();
  const files = field('checksums-sha256')
    .split('\n')
    .map(words)
    .filter((line) => line.length > 0)
    .map(([hash = '', length = '', file = '']) => {
      const digest = `sha256:${hash}`;
      const path = `${directory}/${file}`;
      if (!isDigest(digest) || !isSize(length) || file.includes('/') || !isPoolPath(path))
        throw malformed();
      return { path, size: Number(length), digest };
    });
  return { name, version, archive, files };
}
