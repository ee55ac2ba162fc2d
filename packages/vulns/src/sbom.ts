import { LktError } from '@lkt/core';
import { items, record, text, texts } from './json-fields.ts';
import { packageOf, type SbomPackage, type SourcePackage, withEpoch } from './sbom-package.ts';

/** The packages of an SBOM, and its components that no database of lkt can name. */
export interface SbomPackages {
  readonly packages: readonly SbomPackage[];
  /** Package URLs of other types, or without a version. */
  readonly uncovered: readonly string[];
  /** Names, with versions, of components without a package URL. */
  readonly unidentified: readonly string[];
}

/**
 * Reads the packages of an SBOM in SPDX 2.3 or CycloneDX JSON: those of ecosystems, by their
 * package URLs. Images of lkt are containers of packages, and not listed, as are files, operating
 * systems, sources, and what the document describes.
 * @throws CONFIG_INVALID
 */
export function parseSbom(document: unknown, where: string): SbomPackages {
  const unidentified = new Set<string>();
  const sources: Sources = new Map();
  const containers = containersOf(record(document), where, unidentified, sources);
  const found = new Map<string, SbomPackage>();
  const uncovered = new Set<string>();
  for (const purl of containers.keys()) {
    const item = packageOf(purl, sources.get(purl));
    if (item !== undefined) found.set(purl, item);
    else if (!purl.startsWith('pkg:oci/')) uncovered.add(purl);
  }
  const packages = [...found.values()]
    .map((item) => ({ ...item, suppliers: suppliersOf(item, found, containers) }))
    .toSorted((a, b) => (a.purl < b.purl ? -1 : 1));
  return {
    packages,
    uncovered: [...uncovered].toSorted(),
    unidentified: [...unidentified].toSorted(),
  };
}

/** One of several SBOMs about an image. */
export interface SbomDocument {
  readonly document: unknown;
  /** Whether others wrote it: anyone with access to a registry can attach an SBOM there. */
  readonly isForeign: boolean;
}

/**
 * Returns the packages of several SBOMs about one image: those that others attached add packages,
 * and hide none of another. A Go module came from Debian packages only if all agree, and one of the
 * SBOMs is not foreign, or the layers have these packages.
 * @param inspected what the image's layers show
 * @throws CONFIG_INVALID
 */
export function parseSboms(
  documents: readonly SbomDocument[],
  where: string,
  inspected?: SbomPackages,
): SbomPackages {
  const all = documents.map(({ document, isForeign }) => ({
    ...parseSbom(document, where),
    isForeign,
  }));
  const installed = new Set(inspected?.packages.map((item) => keyOf(item, item.release)));
  const packages: SbomPackage[] = [];
  for (const [, same] of Map.groupBy(
    all.flatMap((one) => one.packages.map((item) => ({ item, isForeign: one.isForeign }))),
    ({ item }) => item.purl,
  )) {
    const isAgreed = new Set(same.map(({ item }) => claimOf(item))).size === 1;
    const isKnown =
      same.some(({ isForeign }) => !isForeign) ||
      same.every(({ item: { suppliers = [] } }) =>
        suppliers.every((one) => installed.has(keyOf(one, one.release))),
      );
    // Outside its URL, another SBOM may state another source package. Each is looked up.
    const bySource = new Map(same.map(({ item }) => [JSON.stringify(item.source), item]));
    for (const item of bySource.values())
      packages.push(isAgreed && isKnown ? item : { ...item, suppliers: undefined });
  }
  const merged = (list: 'uncovered' | 'unidentified'): readonly string[] =>
    [...new Set(all.flatMap((one) => one[list]))].toSorted();
  return {
    packages: packages.toSorted((a, b) => (a.purl < b.purl ? -1 : 1)),
    uncovered: merged('uncovered'),
    unidentified: merged('unidentified'),
  };
}

/**
 * Returns what the inspection of an image found and its SBOM lacks: packages by all that selects
 * their advisories, and others by package URL without qualifiers. Anyone who may write to a
 * registry can replace an SBOM there.
 */
export function missingIn(
  sbom: SbomPackages,
  inspected: SbomPackages,
): Pick<SbomPackages, 'packages' | 'uncovered'> {
  const listed = new Set(sbom.packages.map((item) => keyOf(item, item.release)));
  const named = new Set(sbom.uncovered.map(withoutQualifiers));
  return {
    // One without a release is looked up in all.
    packages: inspected.packages.filter(
      (item) => !listed.has(keyOf(item, item.release)) && !listed.has(keyOf(item, undefined)),
    ),
    uncovered: inspected.uncovered.filter((purl) => !named.has(withoutQualifiers(purl))),
  };
}

/** Returns what selects the advisories of a package in a release; undefined: in all. */
function keyOf(
  { ecosystem, name, version, source }: SbomPackage,
  release: string | undefined,
): string {
  return JSON.stringify([ecosystem, name, version, source.name, source.version, release]);
}

function withoutQualifiers(purl: string): string {
  return purl.replace(/[?#].*/s, '');
}

/** Two claims about suppliers are equal if all that selects their advisories is. */
function claimOf({ suppliers = [] }: SbomPackage): string {
  const keys = suppliers.map((one) => JSON.stringify([one.purl, keyOf(one, one.release)]));
  return keys.toSorted().join();
}

function suppliersOf(
  { purl, ecosystem }: SbomPackage,
  found: ReadonlyMap<string, SbomPackage>,
  containers: Containers,
): readonly SbomPackage[] | undefined {
  const inside = [...(containers.get(purl) ?? [])].map((one) => found.get(one));
  const debs = inside.filter((item) => item?.ecosystem === 'debian') as SbomPackage[];
  const isPackaged = debs.length > 0 && debs.length === inside.length;
  return isPackaged && (ecosystem === 'go' || ecosystem === 'linux') ? debs : undefined;
}

/** Package URLs of components, with those of the components that contain them, or `''`. */
type Containers = Map<string, Set<string>>;

/**
 * Source packages of a distribution's packages by package URL, from SBOMs that state them
 * elsewhere, such as those of Trivy.
 */
type Sources = Map<string, SourcePackage>;

function containersOf(
  document: Readonly<Record<string, unknown>> | undefined,
  where: string,
  unidentified: Set<string>,
  sources: Sources,
): Containers {
  const isSpdx = text(document?.['spdxVersion'])?.startsWith('SPDX-2.') === true;
  const list = isSpdx ? 'packages' : 'components';
  const parts = document?.[list];
  if (parts !== undefined && !Array.isArray(parts))
    throw new LktError('CONFIG_INVALID', `${where}: "${list}" is not a list`);
  if (isSpdx) return spdxContainers(document ?? {}, unidentified, sources);
  if (document?.['bomFormat'] === 'CycloneDX')
    return cycloneContainers(document, unidentified, sources);
  throw new LktError('CONFIG_INVALID', `${where} is neither SPDX 2 nor CycloneDX JSON`, {
    fix: 'create it with lkt pkg sbom, or lkt build --sbom',
  });
}

/** Reads the packages and their relationships (SPDX 2.3, clauses 7 and 11). */
function spdxContainers(
  document: Readonly<Record<string, unknown>>,
  unidentified: Set<string>,
  sources: Sources,
): Containers {
  const purls = new Map<string, string>();
  const containers: Containers = new Map();
  const described = new Set(texts(document['documentDescribes']));
  for (const item of items(document['relationships'])) {
    const { relationshipType, relatedSpdxElement } = record(item) ?? {};
    if (relationshipType === 'DESCRIBES' && typeof relatedSpdxElement === 'string')
      described.add(relatedSpdxElement);
  }
  for (const item of items(document['packages'])) {
    const fields = record(item) ?? {};
    const id = text(fields['SPDXID']) ?? '';
    let isIdentified = described.has(id) || isNoPackage(fields['primaryPackagePurpose']);
    for (const reference of items(fields['externalRefs'])) {
      const { referenceType, referenceLocator } = record(reference) ?? {};
      const isPurl = /(?:^|\/)purl$/.test(text(referenceType) ?? '');
      const purl = isPurl ? text(referenceLocator) : undefined;
      if (purl === undefined) continue;
      isIdentified = true;
      purls.set(id, purl);
      containers.set(purl, containers.get(purl) ?? new Set());
      const [, name, version] = BUILT_FROM.exec(text(fields['sourceInfo']) ?? '') ?? [];
      if (name !== undefined) sources.set(purl, { name, version });
    }
    if (!isIdentified) unidentified.add(titleOf(fields['name'], fields['versionInfo']));
  }
  for (const item of items(document['relationships'])) {
    const { spdxElementId, relationshipType, relatedSpdxElement } = record(item) ?? {};
    const purl = purls.get(text(relatedSpdxElement) ?? '') ?? '';
    if (relationshipType === 'CONTAINS')
      containers.get(purl)?.add(purls.get(text(spdxElementId) ?? '') ?? '');
  }
  return containers;
}

/**
 * Reads components, which may contain components, and dependencies between them (CycloneDX 1.6,
 * "components" and "dependencies").
 */
function cycloneContainers(
  document: Readonly<Record<string, unknown>>,
  unidentified: Set<string>,
  sources: Sources,
): Containers {
  const containers: Containers = new Map();
  const purls = new Map<string, string>();
  const open: (readonly [item: unknown, container: string | undefined])[] = [];
  const add = (parent: Readonly<Record<string, unknown>>, container?: string): void => {
    for (const item of items(parent['components'])) open.push([item, container]);
  };
  add(document);
  const subject = record(record(document['metadata'])?.['component']) ?? {};
  // Such as the main module of a program. An image needs no package URL.
  if (text(subject['purl']) === undefined) add(subject);
  else open.push([subject, undefined]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const item = record(next[0]) ?? {};
    const purl = text(item['purl']);
    const id = text(item['bom-ref']);
    if (purl !== undefined) {
      const known = containers.get(purl) ?? new Set();
      containers.set(purl, next[1] === undefined ? known : known.add(next[1]));
      if (id !== undefined) purls.set(id, purl);
      const source = sourceIn(item['properties']);
      if (source !== undefined) sources.set(purl, source);
    } else if (!isNoPackage(item['type'])) {
      unidentified.add(titleOf(item['name'], item['version']));
    }
    add(item, purl ?? '');
  }
  for (const item of items(document['dependencies'])) {
    const { ref, dependsOn } = record(item) ?? {};
    for (const id of items(dependsOn))
      containers.get(purls.get(text(id) ?? '') ?? '')?.add(purls.get(text(ref) ?? '') ?? '');
  }
  return containers;
}

/** `sourceInfo` of a distribution's packages in the SPDX of Trivy and apt2sbom. */
const BUILT_FROM = /^built package from: (\S+) (\S+)$/;

/** Returns the source package in the properties of a CycloneDX component by Trivy. */
function sourceIn(properties: unknown): SourcePackage | undefined {
  const values = new Map(
    items(properties).map((item) => {
      const { name, value } = record(item) ?? {};
      return [text(name), text(value)] as const;
    }),
  );
  const [name, upstream, revision, epoch] = ['SrcName', 'SrcVersion', 'SrcRelease', 'SrcEpoch'].map(
    (key) => values.get(`aquasecurity:trivy:${key}`),
  );
  if (name === undefined) return undefined;
  if (upstream === undefined) return { name };
  const version = revision === undefined ? upstream : `${upstream}-${revision}`;
  return { name, version: withEpoch(version, epoch) };
}

/** Reports whether components of a purpose or type are no packages, and so need no package URL. */
function isNoPackage(kind: unknown): boolean {
  return /^(?:file|operating-system|source)$/i.test(text(kind) ?? '');
}

/** Returns name and version of a component, as far as it has them. */
function titleOf(name: unknown, version: unknown): string {
  const title = [text(name), text(version)].filter((part) => part !== undefined && part !== '');
  return title.length === 0 ? 'a component without a name' : title.join(' ');
}
