import { parseYaml } from '@lkt/core';
import type { ConfigFile, LoadedConfig } from './load-config.ts';
import { IMAGE } from './reference.ts';

/** Built from `tools/boot`; a test reports when it is out of date. */
const BOOT_LOADER_IMAGE =
  'lkt/boot:211b8ea82243789967faf1362c4c3787476a755d@sha256:8bc8d305bd0a53e626ad88b2446800960e8da90f3a0828dace16015c2a598878';

/**
 * Adds the image with the boot loaders, to be found, verified and recorded like those that configs
 * name.
 */
export function withBootLoader(
  loaded: LoadedConfig,
  image: string = BOOT_LOADER_IMAGE,
): LoadedConfig {
  const file: ConfigFile = {
    path: 'the boot loader of lkt',
    absolute: '/',
    text: `${image}\n`,
  };
  const bootLoader = IMAGE.read(parseYaml(file));
  return {
    ...loaded,
    config: { ...loaded.config, bootLoader },
    fileOf: (value) => (value.file === file ? file : loaded.fileOf(value)),
  };
}
