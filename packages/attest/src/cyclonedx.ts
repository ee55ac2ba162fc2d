import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import { sortedUnique } from './sorted-unique.ts';
import {
  DOCUMENT,
  isPart,
  NOASSERTION,
  ORGANIZATION,
  type SpdxDocument,
  type SpdxPackage,
  type SpdxRelationship,
} from './spdx.ts';

/** The fields that lkt writes of a CycloneDX 1.6 document (ECMA-424). */
export interface CycloneDxDocument {
  readonly $schema: string;
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: {
    readonly timestamp?: string;
    readonly tools: { readonly components: readonly { type: 'application'; name: 'lkt' }[] };
    readonly component?: CycloneDxComponent;
  };
  readonly components: readonly CycloneDxComponent[];
  readonly dependencies: readonly {
    readonly ref: string;
    readonly dependsOn: readonly string[];
  }[];
}

/** A component of a CycloneDX 1.6 document. */
interface CycloneDxComponent {
  readonly type: 'application' | 'container' | 'file' | 'library' | 'operating-system';
  readonly 'bom-ref': string;
  readonly supplier?: { readonly name: string };
  readonly name: string;
  readonly version?: string;
  readonly description?: string;
  readonly scope?: 'excluded';
  readonly hashes?: readonly { readonly alg: 'SHA-256' | 'SHA-512'; readonly content: string }[];
  readonly licenses?: readonly CycloneDxLicense[];
  readonly cpe?: string;
  readonly purl?: string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

type CycloneDxLicense =
  | { readonly expression: string }
  | { readonly license: { readonly name: string } };

/** Name of the property with the relationship of a component to the described one in SPDX. */
const RELATIONSHIP = 'lkt:relationship';

/**
 * Returns an SPDX document as a CycloneDX document.
 *
 * Each component depends on the packages that it contains. Components used only by the build, such
 * as compilers, have the scope `excluded`; their property `lkt:relationship` is the SPDX
 * relationship. Equal documents give equal bytes.
 */
export function cycloneDxOf(document: SpdxDocument): CycloneDxDocument {
  const { creationInfo, packages, relationships } = document;
  const root = relationships.find(
    ({ spdxElementId }) => spdxElementId === DOCUMENT,
  )?.relatedSpdxElement;
  const described = packages.find(({ SPDXID }) => SPDXID === root);
  const contained = containedIn(root ?? DOCUMENT, relationships);
  const body = {
    metadata: {
      timestamp: creationInfo?.created,
      tools: { components: [{ type: 'application' as const, name: 'lkt' as const }] },
      component: described && componentOf(described),
    },
    components: packages
      .filter((item) => item !== described)
      .map((item) => ({
        ...componentOf(item),
        ...(contained.has(item.SPDXID) ? {} : excluded(item, root, relationships)),
      })),
    dependencies: dependenciesOf(packages, relationships),
  };
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(digestHex(digestOf(canonicalJson(body))))}`,
    version: 1,
    ...body,
  };
}

function componentOf(item: SpdxPackage): CycloneDxComponent {
  const { SPDXID, name, versionInfo, supplier, comment, checksums = [] } = item;
  const { licenseConcluded, licenseDeclared } = item;
  const reference = (type: string): string | undefined =>
    item.externalRefs?.find(({ referenceType }) => referenceType === type)?.referenceLocator;
  const hashes = checksums.flatMap(({ algorithm, checksumValue: content }) => {
    const alg = ALGORITHMS.get(algorithm);
    return alg === undefined ? [] : [{ alg, content }];
  });
  return {
    type: typeOf(item),
    'bom-ref': SPDXID,
    supplier:
      supplier?.startsWith(ORGANIZATION) === true
        ? { name: supplier.slice(ORGANIZATION.length) }
        : undefined,
    name,
    version: versionInfo,
    description: comment,
    hashes: hashes.length === 0 ? undefined : hashes,
    licenses: licensesOf(licenseConcluded) ?? licensesOf(licenseDeclared),
    cpe: reference('cpe23Type'),
    purl: reference('purl'),
  };
}

/** Names of hash algorithms by those of SPDX. */
const ALGORITHMS: ReadonlyMap<string, 'SHA-256' | 'SHA-512'> = new Map([
  ['SHA256', 'SHA-256'],
  ['SHA512', 'SHA-512'],
]);

function typeOf({ primaryPackagePurpose: purpose }: SpdxPackage): CycloneDxComponent['type'] {
  if (purpose === 'CONTAINER') return 'container';
  if (purpose === 'OPERATING-SYSTEM') return 'operating-system';
  return purpose === 'SOURCE' ? 'file' : 'library';
}

function licensesOf(license: string | undefined): readonly CycloneDxLicense[] | undefined {
  if (license === undefined || license === NOASSERTION || license === 'NONE') return undefined;
  // Other tools write any text.
  return /^[A-Za-z0-9.+:() -]+$/.test(license)
    ? [{ expression: license }]
    : [{ license: { name: license } }];
}

function excluded(
  { SPDXID }: SpdxPackage,
  root: string | undefined,
  relationships: readonly SpdxRelationship[],
): Pick<CycloneDxComponent, 'properties' | 'scope'> {
  const types = relationships.flatMap(({ spdxElementId, relationshipType, relatedSpdxElement }) =>
    (spdxElementId === root && relatedSpdxElement === SPDXID) ||
    (spdxElementId === SPDXID && relatedSpdxElement === root)
      ? [relationshipType]
      : [],
  );
  const properties = sortedUnique(types).map((value) => ({ name: RELATIONSHIP, value }));
  return { scope: 'excluded', properties: properties.length === 0 ? undefined : properties };
}

/** Returns the ids of what an element contains, at any depth, and of its variants. */
function containedIn(
  root: string,
  relationships: readonly SpdxRelationship[],
): ReadonlySet<string> {
  const inside = containment(relationships);
  const found = new Set<string>();
  const open = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const id of inside.get(next) ?? []) {
      if (found.has(id)) continue;
      found.add(id);
      open.push(id);
    }
  }
  return found;
}

function dependenciesOf(
  packages: readonly SpdxPackage[],
  relationships: readonly SpdxRelationship[],
): CycloneDxDocument['dependencies'] {
  const inside = containment(relationships);
  return packages.flatMap(({ SPDXID }) => {
    const dependsOn = inside.get(SPDXID);
    return dependsOn === undefined ? [] : [{ ref: SPDXID, dependsOn: sortedUnique(dependsOn) }];
  });
}

/**
 * Maps elements to what they contain, also by linking or as incorporated source. An index contains
 * the images that are variants of it.
 */
function containment(
  relationships: readonly SpdxRelationship[],
): ReadonlyMap<string, readonly string[]> {
  const inside = new Map<string, string[]>();
  const add = (whole: string, part: string): void => {
    const parts = inside.get(whole);
    if (parts === undefined) inside.set(whole, [part]);
    else parts.push(part);
  };
  for (const relationship of relationships) {
    const { spdxElementId, relationshipType, relatedSpdxElement } = relationship;
    if (spdxElementId === DOCUMENT) continue;
    if (isPart(relationship)) add(spdxElementId, relatedSpdxElement);
    if (relationshipType === 'VARIANT_OF') add(relatedSpdxElement, spdxElementId);
  }
  return inside;
}

/** Returns a UUID of version 8 (RFC 9562) with bits of a digest. */
function uuidOf(hex: string): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
