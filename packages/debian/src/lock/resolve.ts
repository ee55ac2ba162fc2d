import { LktError } from '@lkt/core';
import type { IndexedPackage } from '../archive/packages-index.ts';
import type { DebianSpec } from './lock.ts';
import {
  type Alternative,
  type Clause,
  formatAlternative,
  formatClause,
  satisfies,
  parseAlternative,
} from './relation.ts';
import { compareVersions } from './version.ts';

/** The index in which the resolver looks up packages. */
export interface PackageSource {
  /** Returns every version of a package, the newest first. */
  versions(name: string): readonly IndexedPackage[];
  /** Returns every package that provides the name, in all versions. */
  providers(name: string): readonly IndexedPackage[];
}

/** The packages to resolve. */
export type Requirements = Pick<DebianSpec, 'packages' | 'without' | 'noDependencies'>;

/**
 * Returns the required packages with all dependencies (Pre-Depends, Depends), without conflicts.
 *
 * Ignores Essential and Recommends. The result depends only on the requirements and the index: the
 * newest version that satisfies a relation, alternatives in written order, a real package before
 * providers, providers by priority and name. Backtracks from choices that lead to a conflict.
 * @throws DEPENDENCY_UNRESOLVED with the chain of dependencies
 */
export function resolve(requirements: Requirements, source: PackageSource): IndexedPackage[] {
  const search = new Search(requirements, source);
  const failure = search.run(0);
  if (failure !== undefined) throw unresolved(failure);
  return search.packages().toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** A dependency not satisfied yet. */
interface Pending {
  readonly clause: Clause;
  /** The dependent package; undefined for a requirement. */
  readonly by: Selected | undefined;
}

interface Selected {
  readonly item: IndexedPackage;
  readonly by: Selected | undefined;
}

interface Failure {
  readonly chain: readonly string[];
  readonly reason: string;
}

/** Far above any real set; bounds the search for unsolvable ones. */
const MAX_BACKTRACKS = 20_000;

const PRIORITIES = ['required', 'important', 'standard', 'optional', 'extra'];

class Search {
  readonly #source: PackageSource;
  readonly #follow: boolean;
  /** Entries of the packages that are left out. */
  readonly #without: readonly IndexedPackage[];
  readonly #selected = new Map<string, Selected>();
  readonly #queue: Pending[] = [];
  readonly #newest = new Map<string, IndexedPackage | undefined>();
  #backtracks = 0;

  constructor(requirements: Requirements, source: PackageSource) {
    this.#source = source;
    this.#follow = requirements.noDependencies !== true;
    this.#without = (requirements.without ?? []).map((name) => this.#leftOut(name));
    for (const text of requirements.packages.toSorted())
      this.#queue.push({ clause: [parseAlternative(text)], by: undefined });
  }

  packages(): IndexedPackage[] {
    return [...this.#selected.values()].map(({ item }) => item);
  }

  /** Satisfies the queue from `at` on. On failure the state is unchanged. */
  run(at: number): Failure | undefined {
    const before = this.#mark();
    for (let next = at; ; next += 1) {
      const pending = this.#queue[next];
      if (pending === undefined) return undefined;
      if (this.#isSatisfied(pending)) continue;
      const options = this.#candidates(pending.clause);
      const [only] = options;
      if (only === undefined) return this.#undo(before, this.#unsatisfied(pending));
      if (options.length === 1) {
        const failure = this.#select(only, pending);
        if (failure !== undefined) return this.#undo(before, failure);
        continue;
      }
      let first: Failure | undefined;
      for (const option of options) {
        const here = this.#mark();
        const failure = this.#select(option, pending) ?? this.run(next + 1);
        if (failure === undefined) return undefined;
        first ??= failure;
        this.#undo(here, failure);
        if ((this.#backtracks += 1) > MAX_BACKTRACKS) break;
      }
      return first === undefined ? undefined : this.#undo(before, first);
    }
  }

  #mark(): { queue: number; selected: number } {
    return { queue: this.#queue.length, selected: this.#selected.size };
  }

  /**
   * Restores the state. A Map keeps insertion order, so the last selected packages are at its end.
   */
  #undo(mark: { queue: number; selected: number }, failure: Failure): Failure {
    this.#queue.length = mark.queue;
    for (const name of [...this.#selected.keys()].slice(mark.selected)) this.#selected.delete(name);
    return failure;
  }

  #isSatisfied({ clause, by }: Pending): boolean {
    if (clause.some((wanted) => this.#isSelected(wanted))) return true;
    return (
      by !== undefined &&
      clause.some(({ name }) => this.#without.some((item) => satisfies(item, { name })))
    );
  }

  #isSelected(wanted: Alternative): boolean {
    const same = this.#selected.get(wanted.name);
    if (same !== undefined && satisfies(same.item, wanted)) return true;
    for (const { item } of this.#selected.values())
      if (item.provides.length > 0 && satisfies(item, wanted)) return true;
    return false;
  }

  #candidates(clause: Clause): IndexedPackage[] {
    const options: IndexedPackage[] = [];
    for (const wanted of clause) {
      const real = this.#source.versions(wanted.name).find((item) => satisfiesByName(item, wanted));
      const providers = this.#source
        .providers(wanted.name)
        .filter((item) => satisfies(item, wanted) && this.#isNewest(item))
        .toSorted(byPriority);
      options.push(...(real === undefined ? [] : [real]), ...providers);
    }
    const absent = new Set(this.#without.map(({ name }) => name));
    return options.filter(
      (item, index) => !absent.has(item.name) && options.indexOf(item) === index,
    );
  }

  #select(item: IndexedPackage, pending: Pending): Failure | undefined {
    const fail = (reason: string): Failure => ({ chain: chainOf(pending), reason });
    const other = this.#selected.get(item.name);
    if (other !== undefined) {
      const has = `${item.name} ${other.item.version}`;
      return fail(
        `${has} is already selected and does not satisfy ${formatClause(pending.clause)}`,
      );
    }
    for (const { item: present } of this.#selected.values()) {
      if (conflict(item, present)) return fail(`${item.name} conflicts with ${present.name}`);
      if (conflict(present, item)) return fail(`${present.name} conflicts with ${item.name}`);
    }
    const selected: Selected = { item, by: pending.by };
    this.#selected.set(item.name, selected);
    if (this.#follow) for (const clause of item.depends) this.#queue.push({ clause, by: selected });
    return undefined;
  }

  #unsatisfied(pending: Pending): Failure {
    const reasons = pending.clause.map((wanted) => this.#reasonFor(wanted));
    return { chain: chainOf(pending), reason: reasons.join('; ') };
  }

  #reasonFor(wanted: Alternative): string {
    const text = formatAlternative(wanted);
    if (this.#without.some(({ name }) => name === wanted.name))
      return `${wanted.name} is both required and under "without"`;
    const newest = this.#source.versions(wanted.name)[0];
    if (newest !== undefined)
      return `no version satisfies ${text}: the newest is ${newest.version}`;
    return this.#source.providers(wanted.name).length > 0
      ? `no package provides ${text}`
      : `there is no package ${wanted.name}`;
  }

  /** An old version may provide a name that the newest does not. */
  #isNewest(item: IndexedPackage): boolean {
    if (!this.#newest.has(item.name))
      this.#newest.set(item.name, this.#source.versions(item.name)[0]);
    const newest = this.#newest.get(item.name);
    return newest !== undefined && compareVersions(item.version, newest.version) === 0;
  }

  #leftOut(name: string): IndexedPackage {
    const newest = this.#source.versions(name)[0];
    if (newest !== undefined) return newest;
    throw unresolved({ chain: [], reason: `there is no package ${name}, named under "without"` });
  }
}

function satisfiesByName(item: IndexedPackage, wanted: Alternative): boolean {
  return satisfies({ ...item, provides: [] }, wanted);
}

/**
 * A package may conflict with a name that it provides itself (policy §7.6.2): only other packages
 * count.
 */
function conflict(item: IndexedPackage, other: IndexedPackage): boolean {
  return item.conflicts.some((clause) => clause.some((wanted) => satisfies(other, wanted)));
}

function byPriority(a: IndexedPackage, b: IndexedPackage): number {
  const difference = PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority);
  if (difference !== 0) return difference;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function chainOf({ by }: Pending): string[] {
  const chain: string[] = [];
  for (let step = by; step !== undefined; step = step.by) chain.unshift(step.item.name);
  return chain;
}

function unresolved({ chain, reason }: Failure): LktError {
  const way = chain.length === 0 ? '' : `${chain.join(' → ')}: `;
  return new LktError('DEPENDENCY_UNRESOLVED', `${way}${reason}`, {
    fix: 'correct the names under "debian", or add the conflicting package to "without"',
  });
}
