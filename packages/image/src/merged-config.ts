import { type ConfigFile, loadConfig, type LoadOptions } from './config/load-config.ts';
import { metadataOf } from './tree/metadata.ts';

/**
 * Returns merged configs as one YAML config with full image names. Reads only the configs.
 * @throws LktError CONFIG_INVALID
 */
export async function mergedConfig(
  configs: readonly ConfigFile[],
  options: LoadOptions,
): Promise<string> {
  return metadataOf((await loadConfig(configs, options)).config, 'yaml');
}
