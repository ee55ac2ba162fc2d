import { YamlType } from '@lkt/core';
import { SETTINGS } from '../container/settings.ts';
import type { PackageSpec } from './build-yml.ts';

/**
 * The runtime config of an image as checked plain data, with its keys in the order of the label.
 */
export type ImageRuntimeConfig = Readonly<Record<string, unknown>>;

/** The image label that holds an {@link ImageRuntimeConfig} as JSON. */
const CONFIG_LABEL = 'org.mobyproject.config';

/**
 * Parses `config` of build.yml. Accepts numbers and booleans as strings, as LinuxKit does. Rejects
 * unknown keys and values of the wrong type with CONFIG_INVALID.
 */
export const IMAGE_CONFIG: YamlType<ImageRuntimeConfig> = new YamlType({
  read: (value) => {
    SETTINGS.read(value, { isLenient: true });
    return SETTINGS.plain(value) as ImageRuntimeConfig;
  },
  plain: (value) => SETTINGS.plain(value),
  schema: (writer) => SETTINGS.named('container').schema(writer),
});

/**
 * Returns the value of the label: JSON as Go's `json.Marshal` writes it, with `<`, `>`, `&`, U+2028
 * and U+2029 escaped.
 */
export function imageConfigLabel(config: ImageRuntimeConfig): string {
  return JSON.stringify(config).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Returns the labels of a package's image: LinuxKit's labels that follow from the sources. Leaves
 * out the commit and the version of lkt, so that equal sources produce equal images.
 */
export function labelsOf({
  config,
  gitrepo,
}: Pick<PackageSpec, 'config' | 'gitrepo'>): Readonly<Record<string, string>> {
  return {
    ...(config !== undefined && { [CONFIG_LABEL]: imageConfigLabel(config) }),
    ...(gitrepo !== undefined && { 'org.opencontainers.image.source': gitrepo }),
  };
}
