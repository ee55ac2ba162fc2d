import type { SpdxDocument, SpdxPackage } from './spdx.ts';
import { DOCUMENT, relate } from './spdx.ts';

/**
 * Returns what an SBOM that others attached to an image adds to the known SBOMs of it: packages
 * that these lack. Each is also a part of the image itself, because a package that is only in
 * another one has the advisories of that alone.
 */
export function additionsTo(known: readonly SpdxDocument[], foreign: SpdxDocument): SpdxDocument {
  const listed = new Set(known.flatMap(({ packages }) => packages.flatMap(purlsOf)));
  const packages = foreign.packages.filter(
    (item) => !purlsOf(item).some((purl) => listed.has(purl)),
  );
  const inside = new Set(
    foreign.relationships.flatMap((one) =>
      one.relationshipType === 'CONTAINS' ? [one.relatedSpdxElement] : [],
    ),
  );
  const parts = packages.filter(({ SPDXID }) => inside.has(SPDXID));
  const relationships = parts.map(({ SPDXID }) => relate(DOCUMENT, 'CONTAINS', SPDXID));
  return { ...foreign, packages, relationships: [...foreign.relationships, ...relationships] };
}

function purlsOf({ externalRefs = [] }: SpdxPackage): readonly string[] {
  return externalRefs
    .filter(({ referenceType }) => /(?:^|\/)purl$/.test(referenceType))
    .map(({ referenceLocator }) => referenceLocator);
}
