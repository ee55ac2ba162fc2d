import { LktError } from '@lkt/core';
import type { IndexedPackage } from '../archive/packages-index.ts';
import {
  type Alternative,
  type Clause,
  formatAlternative,
  formatClause,
  meets,
  parseAlternative,
} from './relation.ts';
import { compareVersions } from './version.ts';

/** Where the resolver looks packages up. */
export interface PackageSource {
  /** Every version of a package, the newest first. */
  versions(name: string): readonly IndexedPackage[];
  /** Every package that provides the name, of any version. */
  providers(name: string): readonly IndexedPackage[];
}

export interface Wishes {
  /** Names, or relations such as `gcc-14 (= 14.2.0-19)`. */
  readonly packages: readonly string[];
  /** Counted as present by whoever depends on them, and left out. */
  readonly without?: readonly string[] | undefined;
  readonly noDependencies?: boolean | undefined;
}

/**
 * Finds a set of packages with everything they depend on (Pre-Depends, Depends), and no two that conflict.
 *
 * Essential packages are not implied, Recommends and the installed state of no machine matter. The result depends on
 * the wishes and the source alone: the newest version that fits, alternatives in the order they are written, a real
 * package before one that provides the name, providers by priority and then by name. A choice that leads into a
 * conflict is taken back.
 * @throws LktError DEPENDENCY_UNRESOLVED with the chain that leads to the problem
 */
export function resolve(wishes: Wishes, source: PackageSource): IndexedPackage[] {
  const search = new Search(wishes, source);
  const failure = search.run(0);
  if (failure !== undefined) throw unresolved(failure);
  return search.packages().toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** A dependency that is still to be met. */
interface Pending {
  readonly clause: Clause;
  /** The package that has it; undefined for a wish. */
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

/** Far more than any real set takes; an unsolvable one must not run for ever. */
const TRIES = 20_000;

const PRIORITIES = ['required', 'important', 'standard', 'optional', 'extra'];

class Search {
  readonly #source: PackageSource;
  readonly #follow: boolean;
  /** Stand-ins for the packages that are left out. */
  readonly #absent: readonly IndexedPackage[];
  readonly #selected = new Map<string, Selected>();
  readonly #queue: Pending[] = [];
  readonly #newest = new Map<string, IndexedPackage | undefined>();
  #tries = 0;

  constructor(wishes: Wishes, source: PackageSource) {
    this.#source = source;
    this.#follow = wishes.noDependencies !== true;
    this.#absent = (wishes.without ?? []).map((name) => this.#standIn(name));
    for (const text of wishes.packages.toSorted())
      this.#queue.push({ clause: [parseAlternative(text)], by: undefined });
  }

  packages(): IndexedPackage[] {
    return [...this.#selected.values()].map(({ item }) => item);
  }

  /** Meets the queue from `at` on. On failure everything is as it was. */
  run(at: number): Failure | undefined {
    const before = this.#mark();
    for (let next = at; ; next += 1) {
      const pending = this.#queue[next];
      if (pending === undefined) return undefined;
      if (this.#isMet(pending)) continue;
      const options = this.#options(pending.clause);
      const [only] = options;
      if (only === undefined) return this.#undo(before, this.#nothingFits(pending));
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
        if ((this.#tries += 1) > TRIES) break;
      }
      return first === undefined ? undefined : this.#undo(before, first);
    }
  }

  #mark(): { queue: number; selected: number } {
    return { queue: this.#queue.length, selected: this.#selected.size };
  }

  /** A Map keeps the order of insertion, so what was selected last is at its end. */
  #undo(mark: { queue: number; selected: number }, failure: Failure): Failure {
    this.#queue.length = mark.queue;
    for (const name of [...this.#selected.keys()].slice(mark.selected)) this.#selected.delete(name);
    return failure;
  }

  #isMet({ clause, by }: Pending): boolean {
    if (clause.some((wanted) => this.#isSelected(wanted))) return true;
    return (
      by !== undefined &&
      clause.some(({ name }) => this.#absent.some((item) => meets(item, { name })))
    );
  }

  #isSelected(wanted: Alternative): boolean {
    const same = this.#selected.get(wanted.name);
    if (same !== undefined && meets(same.item, wanted)) return true;
    for (const { item } of this.#selected.values())
      if (item.provides.length > 0 && meets(item, wanted)) return true;
    return false;
  }

  #options(clause: Clause): IndexedPackage[] {
    const options: IndexedPackage[] = [];
    for (const wanted of clause) {
      const real = this.#source.versions(wanted.name).find((item) => meetsItself(item, wanted));
      const providers = this.#source
        .providers(wanted.name)
        .filter((item) => meets(item, wanted) && this.#isNewest(item))
        .toSorted(byPriority);
      options.push(...(real === undefined ? [] : [real]), ...providers);
    }
    const absent = new Set(this.#absent.map(({ name }) => name));
    return options.filter(
      (item, index) => !absent.has(item.name) && options.indexOf(item) === index,
    );
  }

  #select(item: IndexedPackage, pending: Pending): Failure | undefined {
    const fail = (reason: string): Failure => ({ chain: chainOf(pending), reason });
    const other = this.#selected.get(item.name);
    if (other !== undefined) {
      const has = `${item.name} ${other.item.version}`;
      return fail(`${formatClause(pending.clause)} is wanted, but ${has} is already chosen`);
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

  #nothingFits(pending: Pending): Failure {
    const reasons = pending.clause.map((wanted) => this.#whyNot(wanted));
    return { chain: chainOf(pending), reason: reasons.join('; ') };
  }

  #whyNot(wanted: Alternative): string {
    const text = formatAlternative(wanted);
    if (this.#absent.some(({ name }) => name === wanted.name))
      return `${wanted.name} is asked for and under "without" at once`;
    const newest = this.#source.versions(wanted.name)[0];
    if (newest !== undefined) return `${text} is wanted, the newest is ${newest.version}`;
    return this.#source.providers(wanted.name).length > 0
      ? `no package provides ${text}`
      : `there is no package ${wanted.name}`;
  }

  /** An old version may provide what the newest no longer does. */
  #isNewest(item: IndexedPackage): boolean {
    if (!this.#newest.has(item.name))
      this.#newest.set(item.name, this.#source.versions(item.name)[0]);
    const newest = this.#newest.get(item.name);
    return newest !== undefined && compareVersions(item.version, newest.version) === 0;
  }

  #standIn(name: string): IndexedPackage {
    const newest = this.#source.versions(name)[0];
    if (newest !== undefined) return newest;
    throw unresolved({ chain: [], reason: `there is no package ${name}, named under "without"` });
  }
}

function meetsItself(item: IndexedPackage, wanted: Alternative): boolean {
  return meets({ ...item, provides: [] }, wanted);
}

/** A package may conflict with a name it provides itself (policy §7.6.2): the names of others are meant. */
function conflict(item: IndexedPackage, other: IndexedPackage): boolean {
  return item.conflicts.some((clause) => clause.some((wanted) => meets(other, wanted)));
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
    fix: 'correct the names under "debian", or add what is in the way to "without"',
  });
}
