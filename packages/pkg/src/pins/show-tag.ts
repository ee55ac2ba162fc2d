import { familiarReference, formatReference } from '@lkt/oci';
import { targetReference, type TargetOptions } from './tag.ts';
import type { HashOptions } from '../sources/source-hash.ts';
import { readSources } from '../sources/sources.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** LinuxKit's flags of the same names. */
export interface TagOptions extends HashOptions, Omit<TargetOptions, 'release'> {
  /** Whether to include the registry, `docker.io`. */
  readonly canonical?: boolean;
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
    const reference = targetReference(item, sources.hash(item), options);
    return options.canonical === true ? formatReference(reference) : familiarReference(reference);
  });
}

/**
 * Returns `org/image:HASH` of a package, with the hash that its sources will have once committed;
 * undefined outside git.
 */
export async function sourceReference(
  workspace: Workspace,
  item: Package,
): Promise<string | undefined> {
  const { committed } = (await readSources(workspace, [item])).hash(item);
  return committed === undefined ? undefined : `${item.name}:${committed}`;
}
