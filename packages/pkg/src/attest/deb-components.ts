import { type Component, debComponent } from '@lkt/attest';
import type { DebianLock, LockedPackage } from '@lkt/debian';

/** Returns the packages of a lock file, each with its SBOM component. */
export function debsOf({
  suite,
  packages,
}: DebianLock): readonly (readonly [LockedPackage, Component])[] {
  return packages.map((item) => {
    const { version, architecture, digest, archive, path } = item;
    const name = item.name.replace(/^src:/, '');
    // pool/COMPONENT/PREFIX/SOURCE/FILE
    const source = path.split('/').at(-2);
    const fileName = `${archive}/${path}`;
    return [
      item,
      debComponent({ name, version, architecture, suite, digest, source, fileName }),
    ] as const;
  });
}
