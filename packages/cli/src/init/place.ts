import { matchesGlob, join, relative, resolve, sep } from 'node:path';
import { LktError } from '@lkt/core';
import { parseReference } from '@lkt/oci';
import { type Workspace, WORKSPACE_FILE } from '@lkt/pkg';

/** The kind of thing that a command adds to a workspace. */
export type Kind = 'images' | 'packages';

const DEFAULTS = { packages: 'pkg/*', images: 'images/*.yml' } as const;

/**
 * Returns the absolute path of a new package or image config: in the first directory that lkt.yml
 * gives for them, or in the one that the user wants.
 * @param given directory relative to the current one; undefined: the default
 * @throws LktError USAGE_INVALID if lkt.yml names no such directory, or not the given one
 */
export function placeOf(
  workspace: Workspace,
  kind: Kind,
  name: string,
  given: string | undefined,
): string {
  const { root, start, spec } = workspace;
  const patterns = spec?.[kind] ?? [DEFAULTS[kind]];
  const file = kind === 'images' ? `${name}.yml` : name;
  const parents = patterns.flatMap((pattern) => parentOf(pattern, kind) ?? []);
  const path =
    given === undefined
      ? parents[0] === undefined
        ? undefined
        : join(root, parents[0], file)
      : join(resolve(start, given), file);
  if (path === undefined)
    throw new LktError('USAGE_INVALID', `${WORKSPACE_FILE} lists ${kind} without a directory`, {
      fix: 'name the directory: --dir DIR',
    });
  const inside = relative(root, path).split(sep).join('/');
  const isListed = patterns.some((pattern) => matchesGlob(inside, pattern.replace(/\/+$/, '')));
  // Without patterns, git's packages may be anywhere.
  const isAnywhere = kind === 'packages' && spec?.packages === undefined;
  if (!inside.startsWith('../') && (isListed || isAnywhere)) return path;
  throw new LktError('USAGE_INVALID', `${WORKSPACE_FILE} does not list ${inside}`, {
    fix: inside.startsWith('../')
      ? 'name a directory in the workspace'
      : `add it to "${kind}" of ${WORKSPACE_FILE}, or leave out --dir`,
  });
}

/** Returns `services` for `services/*`; undefined for a pattern of another form. */
function parentOf(pattern: string, kind: Kind): string | undefined {
  const form = kind === 'images' ? /^([^*?[{]*)\/\*\.ya?ml$/ : /^([^*?[{]*)\/\*\*?\/?$/;
  return form.exec(pattern)?.[1];
}

/**
 * Returns the organization of new packages, and checks that they are new.
 * @param given by the user; undefined: that of lkt.yml
 * @throws LktError USAGE_INVALID
 */
export function organizationOfNew(
  workspace: Workspace,
  images: readonly string[],
  given: string | undefined,
): string {
  const org = given ?? workspace.spec?.org;
  if (org === undefined)
    throw new LktError('USAGE_INVALID', 'the package needs an organization', {
      fix: `add org: NAME to ${WORKSPACE_FILE}, or give --org NAME`,
    });
  requireName(org);
  for (const image of images) {
    const other = workspace.packages.get(`${org}/${image}`);
    if (other !== undefined)
      throw new LktError(
        'USAGE_INVALID',
        `${other.name} is already in ${relative(workspace.start, other.dir)}`,
        { fix: 'use another name' },
      );
  }
  return org;
}

/**
 * Returns the organization of the packages with these images: the workspace's own, or a collection.
 * @throws LktError NOT_FOUND
 */
export function organizationOf(workspace: Workspace, images: readonly string[]): string {
  const names = [...workspace.packages.values()];
  for (const { org } of names)
    if (images.every((image) => workspace.packages.has(`${org}/${image}`))) return org;
  const what = images.length === 1 ? 'package' : 'packages';
  throw new LktError('NOT_FOUND', `no collection has the ${what} ${images.join(', ')}`, {
    fix:
      workspace.collections.size === 0
        ? `add the collection lkt to ${WORKSPACE_FILE}: {source: npm:@lkt/packages}`
        : 'take a newer version of the collection with them: lkt collection update',
  });
}

/**
 * Checks the name of a new package or image.
 * @throws LktError USAGE_INVALID
 */
export function requireName(name: string): void {
  try {
    if (!name.includes('/') && parseReference(`x/${name}`).path === `x/${name}`) return;
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
  }
  throw new LktError('USAGE_INVALID', `"${name}" is not a valid name`, {
    fix: 'use lower-case letters, digits, ".", "_" and "-"',
  });
}
