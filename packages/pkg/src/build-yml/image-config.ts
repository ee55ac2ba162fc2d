import { YamlType, type YamlValue } from '@lkt/core';
import { SETTINGS } from '../container/settings.ts';

/** Checked plain data, its keys in the order in which the label has them. */
export type ImageRuntimeConfig = Readonly<Record<string, unknown>>;

/** The image label that carries an {@link ImageRuntimeConfig} as JSON. */
export const CONFIG_LABEL = 'org.mobyproject.config';

/** `config` of build.yml. Numbers and booleans are texts where a text is wanted, as in LinuxKit. */
export const IMAGE_CONFIG: YamlType<ImageRuntimeConfig> = new YamlType({
  read: (value) => {
    SETTINGS.read(value, { isLenient: true });
    return SETTINGS.plain(value) as ImageRuntimeConfig;
  },
  plain: (value) => SETTINGS.plain(value),
  schema: (writer) => SETTINGS.named('container').schema(writer),
});

/** @throws LktError CONFIG_INVALID at the place of an unknown key or a value of the wrong type. */
export function parseImageRuntimeConfig(value: YamlValue): ImageRuntimeConfig {
  return IMAGE_CONFIG.read(value);
}

/** The text of the label: JSON as Go's `json.Marshal` writes it, with `<`, `>`, `&`, U+2028 and U+2029 escaped. */
export function imageConfigLabel(config: ImageRuntimeConfig): string {
  return JSON.stringify(config).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
