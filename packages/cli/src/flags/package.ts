import { LktError } from '@lkt/core';
import type { Environment } from '../session/environment.ts';
import { type FlagValues, listFlag, switchFlag, valueFlag } from './options.ts';

/** The flags of every package command, named as in LinuxKit. */
export const packageFlags = {
  'build-yml': valueFlag('NAME', 'name of the file that describes a package; default: build.yml'),
};

/** The flags of every command that builds packages. */
export const builderFlags = {
  builder: listFlag(
    '[PLATFORM=]ADDRESS',
    'BuildKit that runs the steps: tcp://HOST:PORT, unix:///PATH, docker-container://NAME or buildx:NAME; the prefix linux/ARCH= limits it to that platform; may be repeated',
  ),
};

/** The flags of commands that build packages from other sources than their own. */
export const packageSourceFlags = {
  'cache-from': listFlag(
    'REF',
    'step cache to read: a tag in a registry, or oci-layout:DIR; may be repeated. Everyone who can write there decides what gets built',
  ),
  layouts: valueFlag(
    'DIR',
    'directory with an OCI image layout per package; lkt takes packages from it, and pkg build adds the packages it builds. Everyone who can write there decides what gets built',
  ),
  pull: switchFlag(
    'pull packages missing from the store by the digests that the checkout pins, instead of building them',
    { exclusive: ['offline'] },
  ),
};

export const cacheToFlag = {
  'cache-to': valueFlag('REF', 'step cache to write, for --cache-from'),
};

/** The flags that `buildTools` and `remoteCaches` read. */
export type BuilderFlags = FlagValues<
  typeof builderFlags & typeof packageSourceFlags & typeof cacheToFlag
> & { readonly check?: boolean };

export const hashFlags = {
  org: valueFlag('ORG', 'organization; default: "org" in build.yml'),
  tag: valueFlag('TEMPLATE', 'tag template; default: "tag" in build.yml'),
  hash: valueFlag('HASH', 'source hash to use instead of the computed one'),
  'hash-commit': valueFlag('COMMIT', 'commit whose sources are hashed'),
  'hash-path': valueFlag(
    'DIR',
    'directory to hash instead of the package directory, which it must contain',
  ),
  'force-dirty': switchFlag('tag as if there were uncommitted changes'),
};

/** The flag that replaces organization and hash during development. */
export const devFlag = {
  dev: switchFlag('name the image USER/IMAGE:dev, as with --org $USER --hash dev', {
    exclusive: ['org'],
  }),
};

/** The flags of commands that name packages in a registry, as in LinuxKit. */
export const targetFlags = {
  org: valueFlag('HOST/ORG', 'registry and organization; default: "org" in build.yml'),
  override: switchFlag('replace a tag that names another image; releases are never replaced'),
  release: valueFlag('TAG', 'additional tag; the push fails if the tag names another image'),
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
