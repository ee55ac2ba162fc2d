import type { SourceHash } from '../sources/source-hash.ts';
import type { Package } from '../workspace/workspace.ts';

/** LinuxKit's flags of the same names. `hash` replaces the source hash in a tag template. */
export interface Naming {
  readonly org?: string;
  readonly tag?: string;
  readonly hash?: string;
}

/** Returns a package with its name and hash in the store. */
export function applyNaming(
  item: Package,
  own: SourceHash,
  { org = item.org, tag = item.tag, hash }: Naming = {},
): { readonly item: Package; readonly hash: SourceHash } {
  const name = org === item.org ? item.name : `${org}/${item.image}`;
  return {
    item: { ...item, org, name, tag },
    hash: hash === undefined ? own : { ...own, hash, committed: hash },
  };
}
