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
