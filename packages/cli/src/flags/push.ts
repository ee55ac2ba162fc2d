import { Flags } from './options.ts';

/** The flags of commands that name packages in a registry, as in LinuxKit. */
export const targetFlags = {
  org: Flags.string({
    summary: 'registry and organization; default: "org" in build.yml',
    helpValue: 'HOST/ORG',
  }),
  override: Flags.boolean({
    summary: 'replace a tag that names another image; releases are never replaced',
  }),
  release: Flags.string({
    summary: 'additional tag; the push fails if the tag names another image',
    helpValue: 'TAG',
  }),
  tag: Flags.string({
    summary: 'tag template; default: "tag" in build.yml',
    helpValue: 'TEMPLATE',
  }),
};
