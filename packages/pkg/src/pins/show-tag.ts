import { familiarReference, parseReference } from '@lkt/oci';
import { storeName } from './pins.ts';
import type { HashOptions } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import { renderTag } from './tag.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** LinuxKit's flags of the same names. */
export interface TagOptions extends HashOptions {
  /** Instead of the one in build.yml. */
  readonly org?: string | undefined;
  /** Template, instead of the one in build.yml. */
  readonly tag?: string | undefined;
  /** Whether to write the registry. */
  readonly canonical?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The references that packages have now, in the order of `packages`.
 * @throws LktError GIT_FAILED, TOOL_MISSING, CONFIG_INVALID, REFERENCE_INVALID
 */
export async function showTags(
  workspace: Workspace,
  packages: readonly Package[],
  options: TagOptions = {},
): Promise<readonly string[]> {
  const sources = await readSources(workspace, packages, options);
  return packages.map((item) => {
    const name = parseReference(
      options.org === undefined ? item.name : `${options.org}/${item.image}`,
    );
    const full = storeName(name, renderTag(options.tag ?? item.tag, sources.hash(item).hash));
    return options.canonical === true ? full : familiarReference(parseReference(full));
  });
}

/**
 * What pins of packages say of their sources, `org/image:HASH`: with the hash that they have once they are committed.
 * Nothing for a package outside git.
 */
export async function sourceNames(
  workspace: Workspace,
  packages: readonly Package[],
  options: Pick<TagOptions, 'signal'> = {},
): Promise<ReadonlyMap<Package, string>> {
  const sources = await readSources(workspace, packages, options);
  return new Map(
    packages.flatMap((item) => {
      const { committed } = sources.hash(item);
      return committed === undefined ? [] : [[item, `${item.name}:${committed}`] as const];
    }),
  );
}
