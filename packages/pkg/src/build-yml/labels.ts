import type { PackageSpec } from './build-yml.ts';
import { CONFIG_LABEL, imageConfigLabel } from './image-config.ts';

/**
 * Returns the labels of a package's image: LinuxKit's labels that follow from the sources. Leaves
 * out the commit and the version of lkt, so that equal sources produce equal images.
 */
export function labelsOf({ config, gitrepo }: PackageSpec): Readonly<Record<string, string>> {
  return {
    ...(config !== undefined && { [CONFIG_LABEL]: imageConfigLabel(config) }),
    ...(gitrepo !== undefined && { 'org.opencontainers.image.source': gitrepo }),
  };
}
