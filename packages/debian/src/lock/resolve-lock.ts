import { Archive, type ArchiveOptions } from '../archive/archive.ts';
import { type DebianLock, type DebianSpec, requestOf } from './lock.ts';
import type { Mirror } from '../archive/mirror.ts';
import { resolve } from './resolve.ts';
import { resolveSources } from '../archive/source-package.ts';

/**
 * Resolves a specification against what the archive offers now. This is the one place where the archive's signature
 * is checked; from then on the digests of the lock are the trust.
 * @throws LktError DEPENDENCY_UNRESOLVED, and what opening the archive throws
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
    request: requestOf(spec),
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
