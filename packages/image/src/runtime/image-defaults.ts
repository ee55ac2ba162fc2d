import { LktError } from '@lkt/core';
import type { ContainerConfig } from '@lkt/oci';
import { parseLabel, type Settings } from '@lkt/pkg';

/** Label with an image's default settings, in the form of `Settings`. */
const CONFIG_LABEL = 'org.mobyproject.config';

/** Defaults of an image for its containers. */
export interface ImageDefaults {
  readonly label: Settings;
  readonly config: ContainerConfig;
}

/** Of the configs seen so far: several steps of a build, and services of one image, ask. */
const known = new WeakMap<ContainerConfig, ImageDefaults>();

/**
 * Returns the defaults of an image. Parses its label once.
 * @param name of the image, for errors
 * @throws LktError IMAGE_INVALID for an invalid label
 */
export function imageDefaults(name: string, config: ContainerConfig): ImageDefaults {
  const found = known.get(config) ?? { label: parseDefaults(name, config), config };
  known.set(config, found);
  return found;
}

function parseDefaults(name: string, config: ContainerConfig): Settings {
  const text = config.Labels?.[CONFIG_LABEL];
  if (text === undefined || text === '') return {};
  try {
    return parseLabel({ path: `label ${CONFIG_LABEL} of ${name}`, text });
  } catch (error) {
    if (!(error instanceof LktError)) throw error;
    throw new LktError('IMAGE_INVALID', error.message, {
      cause: error,
      fix: error.fix,
      detail: error.detail,
    });
  }
}
