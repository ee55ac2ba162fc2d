import { familiarReference } from '@lkt/oci';
import { mapReferences } from './config/config.ts';
import { type ConfigFile, loadConfig, type LoadOptions } from './config/load-config.ts';
import type { ImageReference } from './config/reference.ts';
import { metadataOf } from './tree/metadata.ts';

/**
 * Returns merged configs as one YAML config that builds the same image. A name without a registry
 * stays one: with that of Docker, Docker Hub would be asked for it. Reads only the configs.
 * @throws LktError CONFIG_INVALID
 */
export async function mergedConfig(
  configs: readonly ConfigFile[],
  options: LoadOptions,
): Promise<string> {
  return metadataOf(mapReferences((await loadConfig(configs, options)).config, asGiven), 'yaml');
}

function asGiven(image: ImageReference): ImageReference {
  const { reference } = image;
  if (reference === undefined || reference.domain !== undefined) return image;
  return { ...image, full: familiarReference(reference) };
}
