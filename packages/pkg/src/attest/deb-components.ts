import { type Component, type ComponentLicense, debComponent, type Part } from '@lkt/attest';
import type { DebianLock, IncorporatedSource, LockedPackage, PackageLicense } from '@lkt/debian';
import type { MetadataByName } from './deb-metadata.ts';

/** Returns the packages of a lock file, each with its SBOM component. */
export function debsOf(
  { suite, packages }: DebianLock,
  metadata: MetadataByName = new Map(),
): readonly (readonly [LockedPackage, Component])[] {
  return packages.map((item) => {
    const { version, architecture, digest, archive, path } = item;
    const name = item.name.replace(/^src:/, '');
    // pool/COMPONENT/PREFIX/SOURCE/FILE
    const source = path.split('/').at(-2);
    const fileName = `${archive}/${path}`;
    const { license: declared, sourceVersion } = metadata.get(item.name) ?? {};
    return [
      item,
      debComponent({
        name,
        version,
        architecture,
        suite,
        digest,
        source,
        sourceVersion,
        fileName,
        license: componentLicense(declared),
      }),
    ] as const;
  });
}

/** Returns the packages of a lock file with the sources that their builds incorporated. */
export function debPartsOf(lock: DebianLock, metadata: MetadataByName): readonly Part[] {
  return debsOf(lock, metadata).map(([{ name }, component]) => {
    const { builtUsing = [] } = metadata.get(name) ?? {};
    return {
      component,
      parts: builtUsing.map((source) => incorporatedPart(source, lock)),
    };
  });
}

function incorporatedPart(
  { name, version, isStatic }: IncorporatedSource,
  { suite }: DebianLock,
): Part {
  return {
    component: debComponent({ name, version, architecture: 'source', suite }),
    relation: isStatic ? 'STATIC_LINK' : 'GENERATED_FROM',
  };
}

/** Returns the licence of a component; undefined if that of the package is unknown. */
export function componentLicense(
  license: PackageLicense | undefined,
): ComponentLicense | undefined {
  if (license === undefined) return undefined;
  const { declared, concluded, texts } = license;
  return {
    license: declared,
    ...(concluded !== undefined && { concludedLicense: concluded }),
    ...(texts.length > 0 && { licenseTexts: texts }),
  };
}
