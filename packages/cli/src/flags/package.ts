import { LktError } from '@lkt/core';
import type { Environment } from '../session/environment.ts';
import { Flags } from './options.ts';

/** What every command about packages accepts; the names are LinuxKit's. */
export const packageFlags = {
  'build-yml': Flags.string({
    summary: 'name of the file that describes a package',
    helpValue: 'NAME',
  }),
};

/** What every command that builds packages accepts. */
export const builderFlags = {
  builder: Flags.string({
    summary:
      'have this BuildKit do the steps: tcp://HOST:PORT, unix:///PATH, docker-container://NAME or buildx:NAME; with linux/ARCH= in front for that platform only; may be repeated',
    helpValue: '[PLATFORM=]ADDRESS',
    multiple: true,
    multipleNonGreedy: true,
  }),
};

export const hashFlags = {
  org: Flags.string({ summary: 'instead of "org" in build.yml', helpValue: 'ORG' }),
  tag: Flags.string({ summary: 'instead of "tag" in build.yml', helpValue: 'TEMPLATE' }),
  hash: Flags.string({ summary: 'take this as the source hash', helpValue: 'HASH' }),
  'hash-commit': Flags.string({ summary: 'hash the sources of this commit', helpValue: 'COMMIT' }),
  'hash-path': Flags.string({ summary: 'hash this directory above the package', helpValue: 'DIR' }),
  'force-dirty': Flags.boolean({ summary: 'tag as if something were not committed' }),
};

/** What stands in the place of hash and organisation while a package is worked on. */
export const devFlag = {
  dev: Flags.boolean({
    summary: 'name it USER/IMAGE:dev: --org and --hash for who works on it',
    exclusive: ['org'],
  }),
};

/** What packages are called, as LinuxKit's flags and its `LINUXKIT_PKG_ORG` say. */
export interface GivenName {
  readonly org?: string;
  readonly tag?: string;
  readonly hash?: string;
}

/** @throws LktError USAGE_INVALID */
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
