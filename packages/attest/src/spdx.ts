import { canonicalJson, digestAlgorithm, digestFromHex, digestHex, digestOf } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { Component, Content, LicenseText, Part, PartRelation } from './component.ts';
import { sortedUnique } from './sorted-unique.ts';
import { SPDX_NAMESPACE } from './uris.ts';

/** The fields that lkt writes of an SPDX 2.3 document (spdx-spec, schemas/spdx-schema.json). */
export interface SpdxDocument {
  readonly spdxVersion: 'SPDX-2.3';
  readonly dataLicense: 'CC0-1.0';
  readonly SPDXID: typeof DOCUMENT;
  readonly name: string;
  readonly documentNamespace: string;
  /** Absent only in documents of other tools. */
  readonly creationInfo?: { readonly created: string; readonly creators: readonly string[] };
  /** Licences that SPDX does not list; absent without any. */
  readonly hasExtractedLicensingInfos?: readonly SpdxLicense[];
  readonly packages: readonly SpdxPackage[];
  readonly relationships: readonly SpdxRelationship[];
}

/** A licence of an SPDX 2.3 document (spdx-spec, clause 10). */
export interface SpdxLicense {
  readonly licenseId: string;
  readonly name?: string;
  readonly extractedText: string;
}

/** A package of an SPDX 2.3 document (spdx-spec, clause 7). */
export interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo?: string;
  readonly packageFileName?: string;
  readonly downloadLocation: string;
  readonly filesAnalyzed: boolean;
  readonly checksums?: readonly {
    readonly algorithm: 'SHA256' | 'SHA512';
    readonly checksumValue: string;
  }[];
  readonly supplier?: string;
  readonly sourceInfo?: string;
  readonly licenseConcluded?: string;
  readonly licenseDeclared?: string;
  readonly comment?: string;
  readonly primaryPackagePurpose?: 'CONTAINER' | 'LIBRARY' | 'OPERATING-SYSTEM' | 'SOURCE';
  readonly externalRefs?: readonly SpdxReference[];
}

/** An external reference of an SPDX 2.3 package (spdx-spec, 7.21 and annex F). */
type SpdxReference =
  | {
      readonly referenceCategory: 'PACKAGE-MANAGER';
      readonly referenceType: 'purl';
      readonly referenceLocator: string;
    }
  | {
      readonly referenceCategory: 'SECURITY';
      readonly referenceType: 'cpe23Type';
      readonly referenceLocator: string;
    };

/** A relationship between two elements of an SPDX 2.3 document (spdx-spec, clause 11). */
export interface SpdxRelationship {
  readonly spdxElementId: string;
  readonly relationshipType:
    | 'BUILD_TOOL_OF'
    | 'CONTAINS'
    | 'DESCENDANT_OF'
    | 'DESCRIBES'
    | 'GENERATED_FROM'
    | 'STATIC_LINK'
    | 'VARIANT_OF';
  readonly relatedSpdxElement: string;
  readonly comment?: string;
}

export const NOASSERTION = 'NOASSERTION';
/** Prefix of the name of a supplier (spdx-spec, 7.5). */
export const ORGANIZATION = 'Organization: ';

/** Id of the document itself (spdx-spec, 6.3). */
export const DOCUMENT = 'SPDXRef-DOCUMENT';

/** The statements of an image's SBOM. */
export interface Sbom {
  readonly image: Component;
  readonly contents: readonly Content[];
  /** Sources, and images from which files were copied. */
  readonly generatedFrom: readonly Component[];
  /** The image whose layers are the lowest of this one. */
  readonly base?: Component | undefined;
  /** Images that took part in the build without leaving a file in the image. */
  readonly buildTools: readonly Component[];
}

/** Maximum number of paths in a relationship's comment. */
const MAX_PATHS = 32;

/**
 * Returns the SPDX document of an SBOM. Equal SBOMs give equal bytes: the document has neither the
 * current time nor random numbers.
 */
export function spdxOf(sbom: Sbom): SpdxDocument {
  const packages = new Map<string, SpdxPackage>();
  const licenses = new Map<string, SpdxLicense>();
  const idOf = (component: Component): string => {
    const item = spdxPackage(component);
    packages.set(item.SPDXID, item);
    for (const text of component.licenseTexts ?? []) licenses.set(text.id, spdxLicense(text));
    return item.SPDXID;
  };
  const root = idOf(sbom.image);
  const relationships: SpdxRelationship[] = [describes(root)];
  const related = new Map<readonly Part[], string>();
  const relateParts = (whole: string, parts: readonly Part[] = []): void => {
    if (related.get(parts) === whole) return;
    related.set(parts, whole);
    for (const part of parts) {
      const id = idOf(part.component);
      relationships.push(relate(whole, part.relation ?? 'CONTAINS', id));
      relateParts(id, part.parts);
    }
  };
  for (const { component, relation = 'CONTAINS', paths = [], parts } of sbom.contents) {
    const id = idOf(component);
    relationships.push({
      ...relate(root, relation, id),
      ...(paths.length === 0 ? {} : { comment: listed(paths) }),
    });
    relateParts(id, parts);
  }
  for (const source of sbom.generatedFrom)
    relationships.push(relate(root, 'GENERATED_FROM', idOf(source)));
  if (sbom.base !== undefined) relationships.push(relate(root, 'DESCENDANT_OF', idOf(sbom.base)));
  for (const tool of sbom.buildTools) relationships.push(relate(idOf(tool), 'BUILD_TOOL_OF', root));
  return spdxDocument(sbom.image.name, {
    licenses: [...licenses.values()],
    packages: [...packages.values()],
    relationships,
  });
}

function spdxLicense({ id, name, text }: LicenseText): SpdxLicense {
  return { licenseId: id, name, extractedText: text };
}

/**
 * Builds a document with sorted packages and relationships, and a namespace derived from its
 * content.
 */
export function spdxDocument(
  name: string,
  {
    licenses,
    packages,
    relationships,
  }: {
    readonly licenses: readonly SpdxLicense[];
    readonly packages: readonly SpdxPackage[];
    readonly relationships: readonly SpdxRelationship[];
  },
): SpdxDocument {
  const body = {
    name,
    ...(licenses.length > 0 && {
      hasExtractedLicensingInfos: licenses.toSorted((a, b) => (a.licenseId < b.licenseId ? -1 : 1)),
    }),
    packages: packages.toSorted((a, b) => (a.SPDXID < b.SPDXID ? -1 : 1)),
    relationships: sortedUnique(relationships),
  };
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    documentNamespace: `${SPDX_NAMESPACE}${digestHex(digestOf(canonicalJson(body)))}`,
    creationInfo: {
      created: new Date(SOURCE_DATE_EPOCH * 1000).toISOString().replace('.000Z', 'Z'),
      creators: ['Tool: lkt'],
    },
    ...body,
  };
}

/** Returns the relationship that names the root package of the document. */
export function describes(id: string): SpdxRelationship {
  return relate(DOCUMENT, 'DESCRIBES', id);
}

export function relate(
  spdxElementId: string,
  relationshipType: SpdxRelationship['relationshipType'],
  relatedSpdxElement: string,
): SpdxRelationship {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}

/** Returns the SPDX package of a component. Equal components have the same id in every document. */
export function spdxPackage(component: Component): SpdxPackage {
  const { kind, name, version, purl, cpe, digest, supplier, license, fileName } = component;
  const { sourceInfo, comment, concludedLicense = license } = component;
  // The ids of licences stand for their texts.
  const { licenseTexts: _, ...identity } = component;
  // spdx-spec 3.2: letters, digits, dots and hyphens.
  const readable = name.replaceAll(/[^A-Za-z0-9.-]+/g, '-').slice(0, 80);
  const unique = digestHex(digestOf(canonicalJson(identity))).slice(0, 16);
  return {
    SPDXID: `SPDXRef-${kind}-${readable}-${unique}`,
    name,
    versionInfo: version,
    packageFileName: fileName,
    downloadLocation: NOASSERTION,
    filesAnalyzed: false,
    checksums:
      digest === undefined
        ? undefined
        : [
            {
              algorithm: digestAlgorithm(digest) === 'sha256' ? 'SHA256' : 'SHA512',
              checksumValue: digestHex(digest),
            },
          ],
    supplier: supplier === undefined ? NOASSERTION : `${ORGANIZATION}${supplier}`,
    sourceInfo,
    licenseConcluded: concludedLicense ?? NOASSERTION,
    licenseDeclared: license ?? NOASSERTION,
    comment,
    primaryPackagePurpose: PURPOSE[kind],
    externalRefs: purl === undefined && cpe === undefined ? undefined : referencesOf(purl, cpe),
  };
}

function referencesOf(purl: string | undefined, cpe: string | undefined): readonly SpdxReference[] {
  const references: SpdxReference[] = [];
  if (cpe !== undefined)
    references.push({
      referenceCategory: 'SECURITY',
      referenceType: 'cpe23Type',
      referenceLocator: cpe,
    });
  if (purl !== undefined)
    references.push({
      referenceCategory: 'PACKAGE-MANAGER',
      referenceType: 'purl',
      referenceLocator: purl,
    });
  return references;
}

/**
 * Returns the contents of the image that a document describes. Skips packages that lkt did not
 * write.
 */
export function contentsOf(document: SpdxDocument): readonly Content[] {
  const texts = new Map(
    (document.hasExtractedLicensingInfos ?? []).map((one) => [one.licenseId, one]),
  );
  const components = new Map(
    document.packages.map((item) => [item.SPDXID, componentOf(item, texts)]),
  );
  const inside = Map.groupBy(
    document.relationships.filter((one) => one.relationshipType === 'DESCRIBES' || isPart(one)),
    ({ spdxElementId }) => spdxElementId,
  );
  // Parts of the same component are one list, so that a document cannot grow by nesting.
  const levels = Array.from({ length: MAX_DEPTH }, () => new Map<string, readonly Part[]>());
  const partsOf = (whole: string, depth: number): readonly Part[] => {
    const known = levels[depth]?.get(whole);
    if (known !== undefined || depth === MAX_DEPTH) return known ?? [];
    const parts = (inside.get(whole) ?? []).flatMap(
      ({ relatedSpdxElement: id, relationshipType: type }) => {
        const component = components.get(id);
        if (component === undefined) return [];
        const relation = type === 'CONTAINS' ? undefined : (type as PartRelation);
        return [{ component, relation, parts: partsOf(id, depth + 1) }];
      },
    );
    levels[depth]?.set(whole, parts);
    return parts;
  };
  return (inside.get(DOCUMENT) ?? []).flatMap(({ relatedSpdxElement: id }) => partsOf(id, 0));
}

/**
 * Reports whether a relationship is that of a whole to a part. Sources are parts of the Debian
 * packages whose build incorporated them, but not of images.
 */
export function isPart({ spdxElementId, relationshipType: type }: SpdxRelationship): boolean {
  const isIncorporated = type === 'GENERATED_FROM' && spdxElementId.startsWith('SPDXRef-deb-');
  return type === 'CONTAINS' || type === 'STATIC_LINK' || isIncorporated;
}

/** An image contains programs, which contain packages, which contain modules. */
const MAX_DEPTH = 3;

function expression(field: string | undefined): string | undefined {
  return field === NOASSERTION ? undefined : field;
}

/** Returns the component from which `spdxPackage` made a package. */
function componentOf(
  item: SpdxPackage,
  texts: ReadonlyMap<string, SpdxLicense>,
): Component | undefined {
  const kinds = Object.keys(PURPOSE) as Component['kind'][];
  const kind = kinds.find((known) => item.SPDXID.startsWith(`SPDXRef-${known}-`));
  if (kind === undefined) return undefined;
  const { name, versionInfo, packageFileName, supplier, sourceInfo, comment } = item;
  const reference = (type: SpdxReference['referenceType']): string | undefined =>
    item.externalRefs?.find(({ referenceType }) => referenceType === type)?.referenceLocator;
  const license = expression(item.licenseDeclared);
  const concluded = expression(item.licenseConcluded);
  const component: Component = {
    kind,
    name,
    version: versionInfo,
    purl: reference('purl'),
    cpe: reference('cpe23Type'),
    digest: digestFromHex(item.checksums?.[0]?.checksumValue ?? ''),
    supplier:
      supplier?.startsWith(ORGANIZATION) === true ? supplier.slice(ORGANIZATION.length) : undefined,
    license,
    concludedLicense: concluded === license ? undefined : concluded,
    licenseTexts: textsIn(`${license} ${concluded}`, texts),
    fileName: packageFileName,
    sourceInfo,
    comment,
  };
  return spdxPackage(component).SPDXID === item.SPDXID ? component : undefined;
}

function textsIn(
  expressions: string,
  texts: ReadonlyMap<string, SpdxLicense>,
): readonly LicenseText[] | undefined {
  const ids = new Set(expressions.match(/LicenseRef-[A-Za-z0-9.-]+/g));
  const found = [...ids].toSorted().flatMap((id) => {
    const { name, extractedText: text } = texts.get(id) ?? {};
    return text === undefined ? [] : [{ id, ...(name !== undefined && { name }), text }];
  });
  return found.length === 0 ? undefined : found;
}

const PURPOSE: Readonly<Record<Component['kind'], SpdxPackage['primaryPackagePurpose']>> = {
  apk: undefined,
  deb: undefined,
  go: 'LIBRARY',
  image: 'CONTAINER',
  kernel: 'OPERATING-SYSTEM',
  source: 'SOURCE',
};

function listed(paths: readonly string[]): string {
  const shown = paths.toSorted().slice(0, MAX_PATHS);
  const more = paths.length - shown.length;
  return `${shown.map((path) => `/${path}`).join(' ')}${more === 0 ? '' : ` and ${more} more`}`;
}
