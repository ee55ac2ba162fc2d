import { canonicalJson, digestHex, digestOf, readJson } from '@lkt/core';
import type { Component } from './component.ts';
import {
  describes,
  DOCUMENT,
  relate,
  type SpdxDocument,
  spdxDocument,
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
  for (const document of documents) {
    const renamed = new Map<string, string>();
    for (const item of document.packages) {
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
  return spdxDocument(whole.name, [...packages.values()], relationships);
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

/**
 * Parses an SPDX 2.3 document of any tool, and validates the fields that `mergeSpdx` reads.
 * @throws IMAGE_INVALID
 */
export function parseSpdx(bytes: Uint8Array): SpdxDocument {
  return readJson(bytes, spdxFrom, { code: 'IMAGE_INVALID', what: 'not a valid SPDX document' });
}

function spdxFrom(value: unknown): SpdxDocument {
  const document = value as Record<string, unknown>;
  if (document['spdxVersion'] !== 'SPDX-2.3') throw new Error('spdxVersion is not SPDX-2.3');
  const packages = records(document['packages'], 'packages', ['SPDXID', 'name']);
  const relationships = records(document['relationships'], 'relationships', [
    'spdxElementId',
    'relationshipType',
    'relatedSpdxElement',
  ]);
  return { ...document, packages, relationships } as unknown as SpdxDocument;
}

function records(value: unknown, what: string, texts: readonly string[]): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`);
  for (const item of value as unknown[])
    for (const name of texts)
      if (typeof (item as Record<string, unknown> | null)?.[name] !== 'string')
        throw new Error(`an entry of ${what} has no ${name}`);
  return value as unknown[];
}
