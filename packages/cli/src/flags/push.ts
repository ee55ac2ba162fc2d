import { Flags } from './options.ts';

/** What every command accepts that names packages in a registry; the names are LinuxKit's. */
export const targetFlags = {
  org: Flags.string({
    summary: 'where they go, instead of "org" in build.yml: registry.example/team',
    helpValue: 'HOST/ORG',
  }),
  override: Flags.boolean({
    summary: 'replace what has the same tag and is another image; never a release',
  }),
  release: Flags.string({
    summary: 'set this tag too; if it means something else already, nothing is pushed',
    helpValue: 'TAG',
  }),
  tag: Flags.string({ summary: 'instead of "tag" in build.yml', helpValue: 'TEMPLATE' }),
};
