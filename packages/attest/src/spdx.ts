import { canonicalJson, digestHex, digestOf, isDigest } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { Component, Content } from './component.ts';
import { SPDX_NAMESPACE } from './uris.ts';

/** SPDX 2.3, JSON (spdx-spec, schemas/spdx-schema.json): what lkt writes of it. */
export interface SpdxDocument {
  readonly spdxVersion: 'SPDX-2.3';
  readonly dataLicense: 'CC0-1.0';
  readonly SPDXID: typeof DOCUMENT;
  readonly name: string;
  readonly documentNamespace: string;
  readonly creationInfo: { readonly created: string; readonly creators: readonly string[] };
  readonly packages: readonly SpdxPackage[];
  readonly relationships: readonly SpdxRelationship[];
}

export interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo?: string;
  readonly packageFileName?: string;
  readonly downloadLocation: string;
  readonly filesAnalyzed: boolean;
  readonly checksums?: readonly { readonly algorithm: 'SHA256'; readonly checksumValue: string }[];
  readonly sourceInfo?: string;
  readonly licenseDeclared?: string;
  readonly comment?: string;
  readonly primaryPackagePurpose?: 'CONTAINER' | 'LIBRARY' | 'SOURCE';
  readonly externalRefs?: readonly {
    readonly referenceCategory: 'PACKAGE-MANAGER';
    readonly referenceType: 'purl';
    readonly referenceLocator: string;
  }[];
}

export interface SpdxRelationship {
  readonly spdxElementId: string;
  readonly relationshipType:
    | 'BUILD_TOOL_OF'
    | 'CONTAINS'
    | 'DESCENDANT_OF'
    | 'DESCRIBES'
    | 'GENERATED_FROM'
    | 'VARIANT_OF';
  readonly relatedSpdxElement: string;
  readonly comment?: string;
}

export const DOCUMENT = 'SPDXRef-DOCUMENT';

/** What the SBOM of an image says. */
export interface Bill {
  readonly image: Component;
  readonly contents: readonly Content[];
  /** The sources, and images of which files were taken. */
  readonly generatedFrom: readonly Component[];
  /** The image whose layers are the lowest of this one. */
  readonly base?: Component | undefined;
  /** Images that took part in the build, and of which nothing is in the image. */
  readonly buildTools: readonly Component[];
}

/** Paths that the comment of a relationship lists. */
const MAX_PATHS = 32;

/** The SBOM of an image. Its bytes follow from the bill: no time of day, no random number. */
export function spdxOf(bill: Bill): SpdxDocument {
  const packages = new Packages();
  const root = packages.id(bill.image);
  const relationships: SpdxRelationship[] = [describes(root)];
  for (const { component, paths = [], parts = [] } of bill.contents) {
    const id = packages.id(component);
    relationships.push({
      ...relate(root, 'CONTAINS', id),
      ...(paths.length === 0 ? {} : { comment: listed(paths) }),
    });
    for (const part of parts) relationships.push(relate(id, 'CONTAINS', packages.id(part)));
  }
  for (const source of bill.generatedFrom)
    relationships.push(relate(root, 'GENERATED_FROM', packages.id(source)));
  if (bill.base !== undefined)
    relationships.push(relate(root, 'DESCENDANT_OF', packages.id(bill.base)));
  for (const tool of bill.buildTools)
    relationships.push(relate(packages.id(tool), 'BUILD_TOOL_OF', root));
  return spdxDocument(bill.image.name, packages.all(), relationships);
}

/** Puts a document together: everything in order, and a name that follows from the rest. */
export function spdxDocument(
  name: string,
  packages: readonly SpdxPackage[],
  relationships: readonly SpdxRelationship[],
): SpdxDocument {
  const unique = new Map(relationships.map((item) => [canonicalJson(item), item]));
  const body = {
    name,
    packages: packages.toSorted((a, b) => (a.SPDXID < b.SPDXID ? -1 : 1)),
    relationships: [...unique].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item),
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

/** The package of a component; equal components have one id in every document. */
export function spdxPackage(component: Component): SpdxPackage {
  const { kind, name, version, purl, digest, license, fileName, sourceInfo, comment } = component;
  // spdx-spec 3.2: letters, digits, dots and hyphens.
  const readable = name.replaceAll(/[^A-Za-z0-9.-]+/g, '-').slice(0, 80);
  const unique = digestHex(digestOf(canonicalJson(component))).slice(0, 16);
  return {
    SPDXID: `SPDXRef-${kind}-${readable}-${unique}`,
    name,
    versionInfo: version,
    packageFileName: fileName,
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    checksums:
      digest === undefined
        ? undefined
        : [{ algorithm: 'SHA256', checksumValue: digestHex(digest) }],
    sourceInfo,
    licenseDeclared: license,
    comment,
    ...PURPOSE[kind],
    externalRefs:
      purl === undefined
        ? undefined
        : [
            {
              referenceCategory: 'PACKAGE-MANAGER',
              referenceType: 'purl',
              referenceLocator: purl,
            },
          ],
  };
}

/** The contents of the image that a document describes, as far as lkt wrote it; of other packages none are known. */
export function contentsOf(document: SpdxDocument): readonly Content[] {
  const components = new Map(
    document.packages.flatMap((item) => {
      const component = componentOf(item);
      return component === undefined ? [] : [[item.SPDXID, component] as const];
    }),
  );
  const inside = new Map<string, string[]>();
  for (const { spdxElementId, relationshipType, relatedSpdxElement } of document.relationships) {
    if (relationshipType !== 'CONTAINS' && relationshipType !== 'DESCRIBES') continue;
    const list = inside.get(spdxElementId);
    if (list === undefined) inside.set(spdxElementId, [relatedSpdxElement]);
    else list.push(relatedSpdxElement);
  }
  const found = (ids: readonly string[] = []): readonly { id: string; component: Component }[] =>
    ids.flatMap((id) => {
      const component = components.get(id);
      return component === undefined ? [] : [{ id, component }];
    });
  return (inside.get(DOCUMENT) ?? []).flatMap((root) =>
    found(inside.get(root)).map(({ id, component }) => ({
      component,
      parts: found(inside.get(id)).map((part) => part.component),
    })),
  );
}

/** The component of a package that `spdxPackage` wrote. */
function componentOf(item: SpdxPackage): Component | undefined {
  const kind = KINDS.find((known) => item.SPDXID.startsWith(`SPDXRef-${known}-`));
  if (kind === undefined) return undefined;
  const { name, versionInfo, packageFileName, licenseDeclared, sourceInfo, comment } = item;
  const purl = item.externalRefs?.[0]?.referenceLocator;
  const digest = `sha256:${item.checksums?.[0]?.checksumValue ?? ''}`;
  const component: Component = {
    kind,
    name,
    version: versionInfo,
    purl,
    digest: isDigest(digest) ? digest : undefined,
    license: licenseDeclared,
    fileName: packageFileName,
    sourceInfo,
    comment,
  };
  return spdxPackage(component).SPDXID === item.SPDXID ? component : undefined;
}

const KINDS: readonly Component['kind'][] = ['apk', 'deb', 'go', 'image', 'source'];

const PURPOSE: Readonly<
  Record<Component['kind'], { primaryPackagePurpose?: 'CONTAINER' | 'LIBRARY' | 'SOURCE' }>
> = {
  apk: {},
  deb: {},
  go: { primaryPackagePurpose: 'LIBRARY' },
  image: { primaryPackagePurpose: 'CONTAINER' },
  source: { primaryPackagePurpose: 'SOURCE' },
};

class Packages {
  readonly #byId = new Map<string, SpdxPackage>();

  id(component: Component): string {
    const item = spdxPackage(component);
    this.#byId.set(item.SPDXID, item);
    return item.SPDXID;
  }

  all(): readonly SpdxPackage[] {
    return [...this.#byId.values()];
  }
}

function listed(paths: readonly string[]): string {
  const shown = paths.toSorted().slice(0, MAX_PATHS);
  const more = paths.length - shown.length;
  return `${shown.map((path) => `/${path}`).join(' ')}${more === 0 ? '' : ` and ${more} more`}`;
}
