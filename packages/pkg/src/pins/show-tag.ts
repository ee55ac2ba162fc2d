import { familiarReference, parseReference } from '@lkt/oci';
import { storeName } from './check-pin.ts';
import type { HashOptions } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import { renderTag } from './tag.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** LinuxKit's flags of the same names. */
export interface TagOptions extends HashOptions {
  /** Overrides `org` of build.yml. */
  readonly org?: string | undefined;
  /** Template; overrides `tag` of build.yml. */
  readonly tag?: string | undefined;
  /** Whether to include the registry, `docker.io`. */
  readonly canonical?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the current references of packages, in the order of `packages`.
 * @throws GIT_FAILED, TOOL_MISSING, CONFIG_INVALID, REFERENCE_INVALID
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
 * Returns `org/image:HASH` of each package, with the hash that its sources will have once
 * committed. Omits packages outside git.
 */
export async function sourceReferences(
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
