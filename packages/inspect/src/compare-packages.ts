import type { SpdxDocument } from '@lkt/attest';
import type { Digest } from '@lkt/core';
import type { NamedDigest } from './documents.ts';
import type { UsedImage } from './view.ts';

/** An item that differs between two views: `before`, `after` or both are set. */
export interface NamedChange<T> {
  readonly name: string;
  readonly before?: T;
  readonly after?: T;
}

/**
 * Pairs the items that differ in their id, by name. Items with the same name are paired in their
 * order.
 * @param valueOf returns what to report of an item
 */
function changedPairs<T, V>(
  before: readonly T[],
  after: readonly T[],
  nameOf: (item: T) => string,
  idOf: (item: T) => string,
  valueOf: (item: T) => V,
): readonly NamedChange<V>[] {
  const same = new Set(before.map(idOf)).intersection(new Set(after.map(idOf)));
  const byName = (items: readonly T[]): ReadonlyMap<string, readonly T[]> =>
    Map.groupBy(
      items.filter((item) => !same.has(idOf(item))),
      nameOf,
    );
  const [old, now] = [byName(before), byName(after)];
  return [...new Set([...old.keys(), ...now.keys()])].toSorted().flatMap((name) => {
    const [left, right] = [old, now].map((items) => (items.get(name) ?? []).map(valueOf));
    const count = Math.max(left?.length ?? 0, right?.length ?? 0);
    return Array.from({ length: count }, (_, index) => ({
      name,
      before: left?.[index],
      after: right?.[index],
    }));
  });
}

/** Returns the images that differ, paired by repository. */
export function compareUsedImages(
  before: readonly UsedImage[],
  after: readonly UsedImage[],
): readonly NamedChange<UsedImage>[] {
  return changedPairs(
    before,
    after,
    ({ name }) => repositoryOf(name),
    ({ name, digest }) => `${name} ${digest}`,
    (image) => image,
  );
}

/** Returns a reference without its tag. */
function repositoryOf(name: string): string {
  return name.replace(/:[^/:]*$/, '');
}

/** Returns the tag of a reference, for a package the hash of its sources; empty without a tag. */
export function tagOf(name: string): string {
  return name.slice(repositoryOf(name).length + 1);
}

/** Returns the inputs that differ, paired by name without version. */
export function compareInputs(
  before: readonly NamedDigest[],
  after: readonly NamedDigest[],
): readonly NamedChange<Digest>[] {
  return changedPairs(
    before,
    after,
    ({ name }) => inputName(name),
    ({ name, digest }) => `${name} ${digest}`,
    ({ digest }) => digest,
  );
}

/**
 * Returns the part of an input's name that stays the same across versions: a purl without version,
 * or a reference without tag.
 */
function inputName(name: string): string {
  return name.startsWith('pkg:') ? name.replace(/[@?].*$/, '') : repositoryOf(name);
}

/** A package in an SBOM. */
export interface ListedPackage {
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly license?: string;
}

/**
 * Lists the packages of an SBOM, by name and version. Leaves out containers, sources and the
 * described image itself.
 */
export function listedPackages(document: SpdxDocument | undefined): readonly ListedPackage[] {
  const listed = new Map<string, ListedPackage>();
  for (const item of document?.packages ?? []) {
    const { primaryPackagePurpose: purpose, name, versionInfo, licenseDeclared: declared } = item;
    const license = declared === 'NOASSERTION' ? undefined : declared;
    if (purpose === 'CONTAINER' || purpose === 'SOURCE' || name === document?.name) continue;
    const purl = purlOf(item);
    const one = {
      name,
      version: typeof versionInfo === 'string' ? versionInfo : '',
      purl,
      license: typeof license === 'string' ? license : undefined,
    };
    listed.set(`${one.name} ${one.version} ${purl ?? ''}`, one);
  }
  return [...listed].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}

/** Accepts documents of other tools, whose `externalRefs` may have any shape. */
function purlOf(item: { readonly externalRefs?: unknown }): string | undefined {
  if (!Array.isArray(item.externalRefs)) return undefined;
  for (const reference of item.externalRefs as unknown[]) {
    const { referenceType, referenceLocator } = (reference ?? {}) as Record<string, unknown>;
    if (referenceType === 'purl' && typeof referenceLocator === 'string') return referenceLocator;
  }
  return undefined;
}

/** Returns the SBOM packages that differ in version, paired by name. */
export function compareListedPackages(
  before: readonly ListedPackage[],
  after: readonly ListedPackage[],
): readonly NamedChange<string>[] {
  return changedPairs(
    before,
    after,
    ({ name }) => name,
    ({ name, version }) => `${name} ${version}`,
    ({ version }) => version,
  );
}
