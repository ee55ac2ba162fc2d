import { LktError } from '@lkt/core';
import type { Environment } from '../session/environment.ts';
import { listFlag, switchFlag, valueFlag } from './options.ts';

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

export const hashFlags = {
  org: valueFlag('ORG', 'organization; default: "org" in build.yml'),
  tag: valueFlag('TEMPLATE', 'tag template; default: "tag" in build.yml'),
  hash: valueFlag('HASH', 'source hash to use instead of the computed one'),
  'hash-commit': valueFlag('COMMIT', 'commit whose sources are hashed'),
  'hash-path': valueFlag('DIR', 'directory to hash instead of the package, which it contains'),
  'force-dirty': switchFlag('tag as if there were uncommitted changes'),
};

/** The flag that replaces organization and hash during development. */
export const devFlag = {
  dev: switchFlag('name the image USER/IMAGE:dev, as with --org $USER --hash dev', {
    exclusive: ['org'],
  }),
};

/** The parts of a package's name given by LinuxKit's flags and `LINUXKIT_PKG_ORG`. */
export interface GivenName {
  readonly org?: string;
  readonly tag?: string;
  readonly hash?: string;
}

/**
 * Returns the parts of package names that the flags and the environment give.
 * @throws LktError USAGE_INVALID
 */
export function givenName(
  flags: {
    readonly org?: string | undefined;
    readonly tag?: string | undefined;
    readonly hash?: string | undefined;
    readonly dev?: boolean;
  },
  { variables }: Environment,
): GivenName {
  const { USER = '', LINUXKIT_PKG_ORG = '' } = variables;
  if (flags.dev === true && USER === '')
    throw new LktError('USAGE_INVALID', '--dev needs the variable USER, which is not set', {
      fix: 'use --org and --hash',
    });
  const org = flags.dev === true ? USER : (flags.org ?? LINUXKIT_PKG_ORG);
  const hash = flags.hash ?? (flags.dev === true ? 'dev' : undefined);
  return {
    org: org === '' ? undefined : org,
    tag: flags.tag,
    hash,
  };
}
