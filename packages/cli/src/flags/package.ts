import { LktError } from '@lkt/core';
import type { Environment } from '../session/environment.ts';
import { type FlagValues, grouped, listFlag, switchFlag, valueFlag } from './options.ts';

/** The flags of every package command, named as in LinuxKit. */
export const packageFlags = {
  'build-yml': valueFlag('NAME', 'name of the file that describes a package; default: build.yml'),
};

/** The flags of every command that builds packages. */
export const builderFlags = grouped('PACKAGE', {
  builder: listFlag('[PLATFORM=]ADDRESS', 'BuildKit that runs steps (docs/builder.md)'),
});

/** The flags of commands that build packages from other sources than their own. */
export const packageSourceFlags = grouped('PACKAGE', {
  'cache-from': listFlag('REF', 'step cache to read: tag or oci-layout:DIR'),
  layouts: valueFlag('DIR', 'OCI layouts of packages, to read and extend'),
  pull: switchFlag('pull packages by their pinned digests', { exclusive: ['offline'] }),
});

export const cacheToFlag = {
  'cache-to': valueFlag('REF', 'step cache to write, for --cache-from'),
};

/** The flags that `buildTools` and `remoteCaches` read. */
export type BuilderFlags = FlagValues<
  typeof builderFlags & typeof packageSourceFlags & typeof cacheToFlag
> & { readonly check?: boolean };

export const hashFlags = {
  org: valueFlag('[HOST/]ORG', 'organization, with its registry; default: "org" in build.yml'),
  tag: valueFlag('TEMPLATE', 'tag template; default: "tag" in build.yml'),
  hash: valueFlag('HASH', 'hash to use in the tag instead of the source hash'),
  'hash-commit': valueFlag('COMMIT', 'commit whose sources are hashed'),
  'hash-path': valueFlag('DIR', 'directory to hash: a parent of the package directory'),
  'force-dirty': switchFlag('tag as if there were uncommitted changes'),
};

/** The flag that replaces organization and hash during development. */
export const devFlag = {
  dev: switchFlag('same as --org $USER --hash dev', {
    exclusive: ['org'],
  }),
};

/** The flags of commands that name packages in a registry, as in LinuxKit. */
export const targetFlags = {
  org: hashFlags.org,
  override: switchFlag('replace a tag of another image, but never a release'),
  release: valueFlag('TAG', 'additional tag; fails if it names another image'),
  tag: hashFlags.tag,
};

/**
 * Returns the parts of package names that the flags, LinuxKit's `LINUXKIT_PKG_ORG` and `USER` give.
 * @throws LktError USAGE_INVALID
 */
export function givenName(
  { org, tag, hash, dev = false }: FlagValues<typeof hashFlags & typeof devFlag>,
  { variables }: Environment,
): { readonly org?: string; readonly tag?: string; readonly hash?: string } {
  const { USER = '', LINUXKIT_PKG_ORG } = variables;
  if (dev && USER === '')
    throw new LktError('USAGE_INVALID', '--dev needs the variable USER, which is not set', {
      fix: 'use --org and --hash',
    });
  const name = dev ? USER : (org ?? LINUXKIT_PKG_ORG);
  return { org: name === '' ? undefined : name, tag, hash: hash ?? (dev ? 'dev' : undefined) };
}

/**
 * Checks that the command line names package directories, or has `--all`, but not both.
 * @throws LktError USAGE_INVALID
 */
export function requireDirsOrAll(dirs: readonly string[], all: boolean): void {
  if (all ? dirs.length === 0 : dirs.length > 0) return;
  const problem = all ? '--all and package directories exclude each other' : 'DIR is missing';
  throw new LktError('USAGE_INVALID', problem, {
    fix: 'name package directories, or give --all',
  });
}
