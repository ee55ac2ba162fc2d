import { type ConfigFile, loadConfig, type LoadOptions } from './config/load-config.ts';
import { metadataOf } from './tree/metadata.ts';

/**
 * Configs merged into one, as YAML: a config again, with the full names of images. Nothing is built, and nothing is asked
 * but the files. @throws LktError CONFIG_INVALID
 */
export async function mergedConfig(
  configs: readonly ConfigFile[],
  options: LoadOptions,
): Promise<string> {
  return metadataOf((await loadConfig(configs, options)).config, 'yaml');
}
