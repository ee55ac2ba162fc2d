import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import type { Component } from './component.ts';
import {
  describes,
  DOCUMENT,
  relate,
  type SpdxDocument,
  spdxDocument,
  type SpdxLicense,
  type SpdxPackage,
  spdxPackage,
  type SpdxRelationship,
} from './spdx.ts';

/**
 * Returns the SBOM of a whole that is made of images, from their SBOMs. A package that several of
 * them list appears once.
 * @param relation relation of the whole to the images: an image `CONTAINS` packages, a platform's
 * image is a `VARIANT_OF` the index
 */
export function mergeSpdx(
  whole: Component,
  documents: readonly SpdxDocument[],
  relation: 'CONTAINS' | 'VARIANT_OF' = 'CONTAINS',
): SpdxDocument {
  const root = spdxPackage(whole);
  const packages = new Map<string, SpdxPackage>([[root.SPDXID, root]]);
  const relationships: SpdxRelationship[] = [describes(root.SPDXID)];
  const licenses = new Map<string, SpdxLicense>();
  for (const document of documents) {
    const renamed = new Map<string, string>();
    const references = addLicenses(document, licenses);
    for (const original of document.packages) {
      const item = withLicenses(original, references);
      const id = idFor(item, packages);
      renamed.set(item.SPDXID, id);
      packages.set(id, { ...item, SPDXID: id });
    }
    for (const item of document.relationships) {
      const to = renamed.get(item.relatedSpdxElement);
      if (to === undefined) continue;
      if (item.spdxElementId === DOCUMENT) {
        relationships.push(
          relation === 'CONTAINS'
            ? relate(root.SPDXID, relation, to)
            : relate(to, relation, root.SPDXID),
        );
        continue;
      }
      const from = renamed.get(item.spdxElementId);
      if (from !== undefined)
        relationships.push({ ...item, spdxElementId: from, relatedSpdxElement: to });
    }
  }
  return spdxDocument(whole.name, {
    licenses: [...licenses.values()],
    packages: [...packages.values()],
    relationships,
  });
}

/**
 * Adds the licences of a document. Returns new ids of those whose id another document uses for a
 * different text.
 */
function addLicenses(
  { hasExtractedLicensingInfos: infos = [] }: SpdxDocument,
  licenses: Map<string, SpdxLicense>,
): ReadonlyMap<string, string> {
  const renamed = new Map<string, string>();
  for (const info of infos) {
    const other = licenses.get(info.licenseId);
    const isOther = other !== undefined && other.extractedText !== info.extractedText;
    const licenseId = isOther
      ? `${info.licenseId}-${digestHex(digestOf(info.extractedText)).slice(0, 16)}`
      : info.licenseId;
    if (isOther) renamed.set(info.licenseId, licenseId);
    if (other === undefined || isOther) licenses.set(licenseId, { ...info, licenseId });
  }
  return renamed;
}

function withLicenses(item: SpdxPackage, renamed: ReadonlyMap<string, string>): SpdxPackage {
  if (renamed.size === 0) return item;
  const { licenseConcluded, licenseDeclared } = item;
  const rename = (text: string | undefined): string | undefined =>
    text?.replaceAll(/LicenseRef-[A-Za-z0-9.-]+/g, (id) => renamed.get(id) ?? id);
  return {
    ...item,
    licenseConcluded: rename(licenseConcluded),
    licenseDeclared: rename(licenseDeclared),
  };
}

/**
 * Returns the id of a package; a new one if another document uses the id for a different package.
 */
function idFor(item: SpdxPackage, packages: ReadonlyMap<string, SpdxPackage>): string {
  const other = packages.get(item.SPDXID);
  const text = canonicalJson(item);
  return other === undefined || canonicalJson(other) === text
    ? item.SPDXID
    : `${item.SPDXID}-${digestHex(digestOf(text)).slice(0, 16)}`;
}
