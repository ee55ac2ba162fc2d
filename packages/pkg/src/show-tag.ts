import { familiarReference, parseReference } from '@lkt/oci';
import { storeName } from './pins.ts';
import type { HashOptions } from './source-hash.ts';
import { readSources } from './sources.ts';
import { renderTag } from './tag.ts';
import type { Package, Workspace } from './workspace.ts';

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
