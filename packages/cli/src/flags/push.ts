import { switchFlag, valueFlag } from './options.ts';

/** The flags of commands that name packages in a registry, as in LinuxKit. */
export const targetFlags = {
  org: valueFlag('HOST/ORG', 'registry and organization; default: "org" in build.yml'),
  override: switchFlag('replace a tag that names another image; releases are never replaced'),
  release: valueFlag('TAG', 'additional tag; the push fails if the tag names another image'),
  tag: valueFlag('TEMPLATE', 'tag template; default: "tag" in build.yml'),
};
