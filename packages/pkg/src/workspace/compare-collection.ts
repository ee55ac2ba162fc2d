import { join, relative } from 'node:path';
import { compareLocks, type ResolvedLock } from '../debian/lock.ts';
import { showTags } from '../pins/show-tag.ts';
import type { Package, Workspace } from './workspace.ts';

/** The differences of two versions of a collection. Names are as in the workspace: `lkt/sshd`. */
export interface CollectionChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Packages with other sources. */
  readonly changed: readonly { readonly before: Package; readonly after: Package }[];
  /** Lock files with other Debian packages. */
  readonly locks: readonly ResolvedLock[];
}

/**
 * Compares the packages of a collection in two versions of a workspace, with those of its own
 * collections.
 * @param name the collection's name in lkt.yml
 * @throws LktError of a package that is invalid in one of them
 */
export async function compareCollection(
  before: Workspace,
  after: Workspace,
  name: string,
): Promise<CollectionChanges> {
  const old = packagesOf(before, name);
  const now = packagesOf(after, name);
  const [oldTags, newTags] = [await tagsOf(before, old), await tagsOf(after, now)];
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted();
  const pairs = names.map((one) => ({ one, before: old.get(one), after: now.get(one) }));
  const locks: ResolvedLock[] = [];
  for (const pair of pairs) {
    const shown = (path: string): string => join(pair.one, relative(dirOf(pair), path));
    if (oldTags.get(pair.one) !== newTags.get(pair.one))
      locks.push(...(await compareLocks(pair.before, pair.after, shown)));
  }
  return {
    added: names.filter((one) => !old.has(one)),
    removed: names.filter((one) => !now.has(one)),
    changed: pairs.flatMap((pair) =>
      pair.before === undefined ||
      pair.after === undefined ||
      oldTags.get(pair.one) === newTags.get(pair.one)
        ? []
        : [{ before: pair.before, after: pair.after }],
    ),
    locks,
  };
}

function packagesOf(workspace: Workspace, name: string): ReadonlyMap<string, Package> {
  return new Map([...workspace.packages].filter(([one]) => one.startsWith(`${name}/`)));
}

async function tagsOf(
  workspace: Workspace,
  packages: ReadonlyMap<string, Package>,
): Promise<ReadonlyMap<string, string>> {
  const tags = await showTags(workspace, [...packages.values()]);
  return new Map([...packages.keys()].map((name, index) => [name, tags[index] ?? '']));
}

function dirOf(pair: { readonly before?: Package; readonly after?: Package }): string {
  return (pair.after ?? pair.before)?.dir ?? '';
}
