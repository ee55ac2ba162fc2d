import { Archive, type ArchiveOptions } from '../archive/archive.ts';
import { type DebianLock, type DebianSpec, formatRequest } from './lock.ts';
import type { Mirror } from '../archive/mirror.ts';
import { resolve } from './resolve.ts';
import { resolveSources } from '../archive/source-package.ts';

/**
 * Resolves a specification against the archive's current indexes. Only this step verifies the
 * archive's signature; afterwards the digests of the lock are trusted.
 * @throws DEPENDENCY_UNRESOLVED, SIGNATURE_INVALID, DIGEST_MISMATCH, NETWORK_FAILED, NOT_FOUND,
 * TOOL_MISSING, ARCHIVE_INVALID, UNSUPPORTED
 */
export async function resolveLock(
  spec: DebianSpec,
  mirror: Mirror,
  options: ArchiveOptions,
): Promise<DebianLock> {
  const { sources = [] } = spec;
  await using archive = await Archive.open(
    { ...spec, withSources: sources.length > 0 },
    mirror,
    options,
  );
  const found = [
    ...resolve(spec, archive),
    ...resolveSources(sources, (name) => archive.sources(name)),
  ];
  return {
    suite: spec.suite,
    architecture: spec.architecture,
    request: formatRequest(spec),
    packages: found
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, version, architecture, archive: origin, path, size, digest }) => ({
        name,
        version,
        architecture,
        archive: origin,
        path,
        size,
        digest,
      })),
  };
}
