import { LktError } from '@lkt/core';
import { mayRender } from '../pins/tag.ts';
import type { Package } from './workspace.ts';

/** The packages of a workspace that were looked up so far, by name and by directory. */
export class PackageIndex {
  readonly #byName = new Map<string, Package>();
  /** By `org/image`; several of one name by `org/image:TAG`, as in build.yml. */
  readonly byName: ReadonlyMap<string, Package> = this.#byName;
  readonly byDir: Map<string, Package> = new Map();
  /** Packages of one name whose tags differ in build.yml. */
  readonly #variants = new Map<string, readonly Package[]>();
  /** Errors of names that several packages outside the usual directories have. */
  readonly #ambiguous = new Map<string, LktError>();

  /** Adds a package of a collection, whose name no other has. */
  addToCollection(found: Package): void {
    this.byDir.set(found.dir, found);
    this.#byName.set(found.name, found);
  }

  /** Returns the package that has the name and tag of another one. */
  withTag({ name, tag }: Package): Package | undefined {
    return this.#allNamed(name).find((one) => one.tag === tag);
  }

  /** @throws CONFIG_INVALID if another package has this name and tag */
  add(found: Package): void {
    const others = this.#allNamed(found.name);
    const same = this.withTag(found);
    if (same !== undefined) throw sameName(same, found);
    this.byDir.set(found.dir, found);
    if (others.length === 0) {
      this.#byName.set(found.name, found);
      return;
    }
    this.#byName.delete(found.name);
    const all = [...others, found];
    this.#variants.set(found.name, all);
    for (const one of all) this.#byName.set(`${one.name}:${one.tag}`, one);
  }

  /**
   * Makes the name of two packages outside the usual directories ambiguous: only their directories
   * tell them apart.
   */
  setAmbiguous(other: Package, found: Package): void {
    this.#ambiguous.set(found.name, sameName(other, found));
    this.#byName.delete(other.name);
    this.byDir.delete(other.dir);
  }

  /** The name means this package, which was named by its directory. */
  resolveAmbiguity(name: string): void {
    this.#ambiguous.delete(name);
  }

  /** Returns the error of an ambiguous name. */
  ambiguity(name: string): LktError | undefined {
    return this.#ambiguous.get(name);
  }

  get ambiguities(): readonly LktError[] {
    return [...this.#ambiguous.values()];
  }

  /** Replaces a package by a changed one of the same directory. */
  replace(changed: Package): void {
    const named = this.#byName.get(changed.name);
    this.byDir.set(changed.dir, changed);
    if (named === undefined || named.dir === changed.dir) this.#byName.set(changed.name, changed);
  }

  #allNamed(name: string): readonly Package[] {
    const plain = this.#byName.get(name);
    return this.#variants.get(name) ?? (plain === undefined ? [] : [plain]);
  }

  /** Orders the packages by name. */
  sort(): void {
    const sorted = [...this.#byName].toSorted(([a], [b]) => (a < b ? -1 : 1));
    this.#byName.clear();
    for (const [name, item] of sorted) this.#byName.set(name, item);
  }

  /**
   * Returns the package with a name; of several, the one with a tag.
   * @throws CONFIG_INVALID if there are several, and not exactly one has the tag
   */
  find(name: string, tag?: string): Package | undefined {
    const plain = this.#byName.get(name);
    if (plain !== undefined) return plain;
    const variants = this.#variants.get(name) ?? [];
    const found = variants.filter((one) => tag !== undefined && mayRender(one.tag, tag));
    if (found.length === 1 || variants.length === 0) return found[0];
    const files = variants.map(({ file }) => file.path).join(' and ');
    throw new LktError('CONFIG_INVALID', `${files} both describe the package ${name}`, {
      fix: 'name it with its tag, or by its directory: @pkg:DIR',
    });
  }
}

/** Returns the error of two packages with one name. */
export function sameName(one: Package, other: Package): LktError {
  return new LktError(
    'CONFIG_INVALID',
    `${one.file.path} and ${other.file.path} both describe the package ${one.name}`,
    { fix: 'change "image", "org" or "tag" in one of them' },
  );
}
