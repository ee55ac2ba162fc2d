import { familiarReference } from '@lkt/oci';
import type { SystemConfig } from './config/config.ts';
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
  return metadataOf(withGivenNames((await loadConfig(configs, options)).config), 'yaml');
}

function withGivenNames(config: SystemConfig): SystemConfig {
  const { kernel, init, onboot, onshutdown, services, volumes } = config;
  const inItem = <T extends { readonly image?: ImageReference }>(item: T): T =>
    item.image === undefined ? item : { ...item, image: asGiven(item.image) };
  return {
    ...config,
    kernel: inItem(kernel),
    init: init.map(asGiven),
    onboot: onboot.map(inItem),
    onshutdown: onshutdown.map(inItem),
    services: services.map(inItem),
    volumes: volumes.map(inItem),
  };
}

function asGiven(image: ImageReference): ImageReference {
  const { reference } = image;
  if (reference === undefined || reference.domain !== undefined) return image;
  return { ...image, full: familiarReference(reference) };
}
