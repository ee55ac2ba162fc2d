import { type Advisory, type AffectedPackage, type Severity, worse } from './advisory.ts';
import { affects } from './affects.ts';
import { compareText } from './digits.ts';
import { compareIn, type Ecosystem } from './ecosystems.ts';
import type { SbomPackage } from './sbom-package.ts';

/** A vulnerability of one package of an SBOM. */
export interface Vulnerability {
  /** The CVE where one is known, else the id of the first advisory. */
  readonly id: string;
  /** Ids of all advisories about it, with their aliases, sorted. */
  readonly ids: readonly string[];
  readonly package: SbomPackage;
  readonly severity: Severity;
  readonly summary: string;
  /** The first version of the source package without it; undefined if no fix is known. */
  readonly fixed?: string;
  /** Every database that has the vulnerability calls it negligible. */
  readonly negligible: boolean;
}

/** Advisories by the package that they affect. */
export class AdvisoryIndex {
  readonly #wanted: ReadonlySet<string> | undefined;
  readonly #byPackage = new Map<string, [Advisory, AffectedPackage][]>();
  /** Releases with advisories, by ecosystem; `undefined` for those about all releases. */
  readonly #releases = new Map<Ecosystem, Set<string | undefined>>();

  /** @param packages those that will be asked for; default: all. Others take no memory. */
  constructor(packages?: readonly SbomPackage[]) {
    this.#wanted =
      packages &&
      new Set(packages.flatMap((item) => [item, ...(item.suppliers ?? [])]).flatMap(keysOf));
  }

  add(advisory: Advisory): void {
    for (const item of advisory.affected) {
      // An advisory about packages of several ecosystems is in the databases of all.
      if (advisory.isShared !== true) {
        const releases = this.#releases.get(item.ecosystem) ?? new Set();
        this.#releases.set(item.ecosystem, releases.add(item.release));
      }
      const key = keyOf(item.ecosystem, item.name);
      if (this.#wanted?.has(key) === false) continue;
      const list = this.#byPackage.get(key);
      if (list === undefined) this.#byPackage.set(key, [[advisory, item]]);
      else list.push([advisory, item]);
    }
  }

  /** Reports whether there are advisories about the ecosystem of a package, and its release. */
  covers({ ecosystem, release }: SbomPackage): boolean {
    const releases = this.#releases.get(ecosystem);
    if (releases === undefined) return false;
    const namesNone = releases.size === 1 && releases.has(undefined);
    return release === undefined || releases.has(release) || namesNone;
  }

  /** Returns the advisories about a package in its release. */
  about(item: SbomPackage): readonly (readonly [Advisory, AffectedPackage])[] {
    const list = keysOf(item).flatMap((key) => this.#byPackage.get(key) ?? []);
    // Without a release in the SBOM all count: users see a wrong match, and not a missing one.
    return list.filter(
      ([, { release }]) =>
        release === undefined || item.release === undefined || release === item.release,
    );
  }
}

/** Returns the keys of all names that advisories may give a package. */
function keysOf({ ecosystem, source, otherNames = [] }: SbomPackage): readonly string[] {
  return [source.name, ...otherNames].map((name) => keyOf(ecosystem, name));
}

/**
 * Package URLs have names in lower case: the paths of Go modules too, which advisories have as they
 * are.
 */
function keyOf(ecosystem: Ecosystem, name: string): string {
  return `${ecosystem} ${name.toLowerCase()}`;
}

/**
 * Returns the vulnerabilities of packages, the worst first. Advisories of several databases about
 * one vulnerability give one entry, with the worst severity.
 */
export function findVulnerabilities(
  packages: readonly SbomPackage[],
  advisories: AdvisoryIndex,
): readonly Vulnerability[] {
  return packages
    .flatMap((item) => vulnerabilitiesOf(item, advisories))
    .toSorted(
      (a, b) =>
        rank(b.severity) - rank(a.severity) ||
        compareText(a.package.purl, b.package.purl) ||
        compareText(a.id, b.id),
    );
}

/** Returns the vulnerabilities of a package that another version of it does not have. */
export function fixedVulnerabilities(
  before: SbomPackage,
  after: SbomPackage,
  advisories: AdvisoryIndex,
): readonly Vulnerability[] {
  const left = findVulnerabilities([after], advisories);
  return findVulnerabilities([before], advisories).filter(
    ({ ids }) => !left.some((one) => areSame(one.ids, ids)),
  );
}

function vulnerabilitiesOf(item: SbomPackage, advisories: AdvisoryIndex): readonly Vulnerability[] {
  const found: Vulnerability[] = [];
  /** Indexes in `found`, by id. */
  const byId = new Map<string, Set<number>>();
  // Of a module from Debian packages, only their advisories know whether a patch fixed it.
  const judged = new Set(
    (item.suppliers ?? [])
      .flatMap((supplier) => advisories.about(supplier))
      .flatMap(([{ id, aliases }]) => [id, ...aliases]),
  );
  for (const [advisory, affected] of advisories.about(item)) {
    const result = affects(affected, item.source.version);
    if (!result.affected) continue;
    for (const ids of idsByVulnerability(advisory)) {
      if (ids.some((id) => judged.has(id))) continue;
      const one = vulnerability(item, ids, advisory, affected, result.fixed);
      const others = new Set(ids.flatMap((id) => [...(byId.get(id) ?? [])]));
      const same = [...others]
        .toSorted((a, b) => a - b)
        .find((index) => areSame(found[index]?.ids ?? [], ids));
      const other = same === undefined ? undefined : found[same];
      const merged = other === undefined ? one : merge(other, one);
      const index = same ?? found.length;
      found[index] = merged;
      for (const id of merged.ids) byId.set(id, (byId.get(id) ?? new Set()).add(index));
    }
  }
  return found;
}

/**
 * Returns the ids of each vulnerability that an advisory is about. One about several CVEs, such as
 * a DSA, does not say to which of them its other aliases belong.
 */
function idsByVulnerability({ id, aliases }: Advisory): readonly (readonly string[])[] {
  const ids = sortIds([id, ...aliases]);
  const cves = ids.filter(isCve);
  return cves.length < 2 ? [ids] : cves.map((cve) => sortIds([cve, id]));
}

/** Reports whether ids, with at most one CVE each, are of one vulnerability. */
function areSame(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [a.find(isCve), b.find(isCve)];
  if (left !== undefined && right !== undefined) return left === right;
  return a.some((id) => b.includes(id));
}

function vulnerability(
  item: SbomPackage,
  ids: readonly string[],
  { id, severity, summary }: Advisory,
  affected: AffectedPackage,
  fixed: string | undefined,
): Vulnerability {
  const negligible = affected.ignored === true;
  return { id: ids[0] ?? id, ids, package: item, severity, summary, fixed, negligible };
}

function merge(a: Vulnerability, b: Vulnerability): Vulnerability {
  const ids = sortIds([...a.ids, ...b.ids]);
  return {
    id: ids[0] ?? a.id,
    ids,
    package: a.package,
    severity: worse(a.severity, b.severity),
    summary: a.summary === '' ? b.summary : a.summary,
    fixed: laterOf(a, b),
    negligible: a.negligible && b.negligible,
  };
}

/** Returns the later of two fixes: a version that only one database calls fixed is not enough. */
function laterOf(a: Vulnerability, b: Vulnerability): string | undefined {
  if (a.fixed === undefined || b.fixed === undefined) return a.fixed ?? b.fixed;
  return (compareIn(a.package.ecosystem, a.fixed, b.fixed) ?? 0) < 0 ? b.fixed : a.fixed;
}

/** Sorts ids without duplicates, CVEs first. */
function sortIds(ids: readonly string[]): readonly string[] {
  return [...new Set(ids)].toSorted(
    (a, b) => Number(isCve(b)) - Number(isCve(a)) || compareText(a, b),
  );
}

function isCve(id: string): boolean {
  return id.startsWith('CVE-');
}

function rank(severity: Severity): number {
  return SEVERITY_ORDER.indexOf(severity);
}

/** For sorting, an unknown severity comes between medium and high: it may be either. */
const SEVERITY_ORDER: readonly Severity[] = ['low', 'medium', 'unknown', 'high', 'critical'];
