import { readJson } from '@lkt/core';
import type { SpdxDocument } from './spdx.ts';

/**
 * Parses an SPDX 2.3 document of any tool, and validates the fields that lkt reads.
 * Relationships and licences may be missing.
 * @throws IMAGE_INVALID
 */
export function parseSpdx(bytes: Uint8Array): SpdxDocument {
  return readJson(bytes, spdxFrom, { code: 'IMAGE_INVALID', what: 'not a valid SPDX document' });
}

function spdxFrom(value: unknown): SpdxDocument {
  const document = fieldsOf(value, 'the document');
  if (document['spdxVersion'] !== 'SPDX-2.3') throw new Error('spdxVersion is not SPDX-2.3');
  const creation = document['creationInfo'];
  if (creation !== undefined)
    requireTexts(fieldsOf(creation, 'creationInfo'), ['created'], 'creationInfo');
  const packages = records(document['packages'] ?? null, 'packages', PACKAGE_TEXTS, OPTIONAL_TEXTS);
  for (const item of packages) {
    records(item['checksums'], 'checksums', ['algorithm', 'checksumValue']);
    records(item['externalRefs'], 'externalRefs', ['referenceType', 'referenceLocator']);
  }
  const licenses = document['hasExtractedLicensingInfos'];
  records(licenses, 'hasExtractedLicensingInfos', ['licenseId', 'extractedText'], ['name']);
  const relationships = records(document['relationships'], 'relationships', RELATIONSHIP_TEXTS);
  return { ...document, packages, relationships } as unknown as SpdxDocument;
}

const PACKAGE_TEXTS = ['SPDXID', 'name'];
const OPTIONAL_TEXTS = [
  'versionInfo',
  'packageFileName',
  'supplier',
  'sourceInfo',
  'licenseConcluded',
  'licenseDeclared',
  'comment',
  'primaryPackagePurpose',
];
const RELATIONSHIP_TEXTS = ['spdxElementId', 'relationshipType', 'relatedSpdxElement'];

type JsonFields = Readonly<Record<string, unknown>>;

/** Returns a list of objects with these texts; empty if it is missing. */
function records(
  value: unknown,
  what: string,
  texts: readonly string[],
  optional: readonly string[] = [],
): readonly JsonFields[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`);
  return (value as unknown[]).map((item) => {
    const where = `an entry of ${what}`;
    const fields = fieldsOf(item, where);
    requireTexts(fields, texts, where);
    for (const name of optional)
      if (fields[name] !== undefined && typeof fields[name] !== 'string')
        throw new Error(`${name} of ${where} is not a text`);
    return fields;
  });
}

function requireTexts(fields: JsonFields, names: readonly string[], where: string): void {
  for (const name of names)
    if (typeof fields[name] !== 'string') throw new Error(`${where} has no ${name}`);
}

function fieldsOf(value: unknown, what: string): JsonFields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as JsonFields;
  throw new Error(`${what} is not an object`);
}
