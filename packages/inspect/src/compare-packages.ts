import type { SpdxDocument } from '@lkt/attest';
import type { Digest } from '@lkt/core';
import type { NamedDigest } from './documents.ts';
import type { UsedImage } from './view.ts';

/** Something that has a name in both, or in one of them. */
export interface Named<T> {
  readonly name: string;
  readonly before?: T;
  readonly after?: T;
}

/** What is not the same, by name; several of one name in their order. */
function pairs<T>(
  before: readonly T[],
  after: readonly T[],
  nameOf: (item: T) => string,
  idOf: (item: T) => string,
): readonly Named<T>[] {
  const same = new Set(before.map(idOf).filter((id) => after.some((item) => idOf(item) === id)));
  const groups = new Map<string, { old: T[]; now: T[] }>();
  const add = (item: T, side: 'old' | 'now'): void => {
    if (same.has(idOf(item))) return;
    const group = groups.get(nameOf(item)) ?? { old: [], now: [] };
    group[side].push(item);
    groups.set(nameOf(item), group);
  };
  for (const item of before) add(item, 'old');
  for (const item of after) add(item, 'now');
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, { old, now }]) =>
      Array.from({ length: Math.max(old.length, now.length) }, (_, index) => {
        const [left, right] = [old[index], now[index]];
        return {
          name,
          before: left,
          after: right,
        };
      }),
    );
}

export function compareImages(
  before: readonly UsedImage[],
  after: readonly UsedImage[],
): readonly Named<UsedImage>[] {
  return pairs(
    before,
    after,
    ({ name }) => repositoryOf(name),
    ({ name, digest }) => `${name} ${digest}`,
  );
}

/** The name without tag. */
function repositoryOf(name: string): string {
  return name.replace(/:[^/:]*$/, '');
}

/** The tag, which is the hash of the sources of a package; empty without one. */
export function tagOf(name: string): string {
  return name.slice(repositoryOf(name).length + 1);
}

export function compareInputs(
  before: readonly NamedDigest[],
  after: readonly NamedDigest[],
): readonly Named<Digest>[] {
  return pairs(
    before,
    after,
    ({ name }) => inputName(name),
    ({ name, digest }) => `${name} ${digest}`,
  ).map(({ name, before: old, after: now }) => ({
    name,
    before: old?.digest,
    after: now?.digest,
  }));
}

/** Of images and .debs the part that stays when they change. */
function inputName(name: string): string {
  return name.startsWith('pkg:') ? name.replace(/[@?].*$/, '') : repositoryOf(name);
}

/** A package that an SBOM lists. */
export interface ListedPackage {
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly license?: string;
}

/** What an SBOM lists, without images and sources, which have names of their own. */
export function listedPackages(document: SpdxDocument | undefined): readonly ListedPackage[] {
  const listed = new Map<string, ListedPackage>();
  for (const item of document?.packages ?? []) {
    const { primaryPackagePurpose: purpose, name, versionInfo, licenseDeclared: license } = item;
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

/** Whoever wrote the document. */
function purlOf(item: { readonly externalRefs?: unknown }): string | undefined {
  if (!Array.isArray(item.externalRefs)) return undefined;
  for (const reference of item.externalRefs as unknown[]) {
    const { referenceType, referenceLocator } = (reference ?? {}) as Record<string, unknown>;
    if (referenceType === 'purl' && typeof referenceLocator === 'string') return referenceLocator;
  }
  return undefined;
}

export function compareListed(
  before: readonly ListedPackage[],
  after: readonly ListedPackage[],
): readonly Named<string>[] {
  return pairs(
    before,
    after,
    ({ name }) => name,
    ({ name, version }) => `${name} ${version}`,
  ).map(({ name, before: old, after: now }) => ({
    name,
    before: old?.version,
    after: now?.version,
  }));
}
