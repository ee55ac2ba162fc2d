import type { PackageSpec } from './build-yml.ts';
import { CONFIG_LABEL, imageConfigLabel } from './image-config.ts';

/** LinuxKit's labels, as far as they follow from the sources: the commit is in none, nor is the version of lkt. */
export function labelsOf({ config, gitrepo }: PackageSpec): Readonly<Record<string, string>> {
  return {
    ...(config !== undefined && { [CONFIG_LABEL]: imageConfigLabel(config) }),
    ...(gitrepo !== undefined && { 'org.opencontainers.image.source': gitrepo }),
  };
}
