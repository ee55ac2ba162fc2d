import { type Digest, LktError } from '@lkt/core';
import { type ContainerConfig, loadImage, type Platform, type Store } from '@lkt/oci';
import { containerIds, type SystemConfig } from '../config/config.ts';
import { imageDefaults } from './image-defaults.ts';
import { runtimeJson } from './runtime-json.ts';
import { mergeSettings } from './settings.ts';
import { containerSpec } from './spec.ts';
import { supervisionOf } from './supervision.ts';

/** The image of a container, and what the container may do. */
export interface ContainerSpec {
  /** The reference as written. */
  readonly image: string;
  /**
   * `config.json` and `runtime.json` as data. Undefined if the reference has no digest, or the
   * store does not have the image.
   */
  readonly spec: { readonly config: unknown; readonly runtime: unknown } | undefined;
}

/**
 * Returns the specs of a config's containers by section and name, such as `services sshd`. Reads
 * the settings of images, and no layers.
 * @throws LktError CONFIG_INVALID, IMAGE_INVALID
 */
export async function containerSpecs(
  config: SystemConfig,
  store: Store,
  platform: Platform,
): Promise<ReadonlyMap<string, ContainerSpec>> {
  const ids = containerIds(config);
  const volumes = new Map(config.volumes.map((volume) => [volume.name, volume]));
  const specs = new Map<string, ContainerSpec>();
  for (const section of ['onboot', 'onshutdown', 'services'] as const)
    for (const [index, { name, image, settings: own }] of config[section].entries()) {
      // Entries of onboot may have equal names.
      const place = section === 'services' ? name : `${index} ${name}`;
      const defaults = await settingsOf(image.reference?.digest, store, platform);
      if (defaults === undefined) {
        specs.set(`${section} ${place}`, { image: image.text, spec: undefined });
        continue;
      }
      const settings = mergeSettings(own, imageDefaults(image.text, defaults));
      specs.set(`${section} ${place}`, {
        image: image.text,
        spec: specOf(settings, section, { ids, volumes }),
      });
    }
  return specs;
}

/**
 * Returns the spec of a service of an image with the image's own settings.
 * @param name of the image, for errors
 * @throws LktError CONFIG_INVALID, IMAGE_INVALID
 */
export function imageSpec(
  name: string,
  config: ContainerConfig,
): NonNullable<ContainerSpec['spec']> {
  const settings = mergeSettings({}, imageDefaults(name, config));
  return specOf(settings, 'services', { ids: new Map(), volumes: new Map() });
}

function specOf(
  settings: ReturnType<typeof mergeSettings>,
  section: 'onboot' | 'onshutdown' | 'services',
  context: Parameters<typeof containerSpec>[1],
): NonNullable<ContainerSpec['spec']> {
  const config = containerSpec(settings, context);
  const runtime = runtimeJson(settings.runtime ?? {}, [], supervisionOf(settings, section));
  return { config: JSON.parse(config), runtime: JSON.parse(runtime) };
}

async function settingsOf(
  digest: Digest | undefined,
  store: Store,
  platform: Platform,
): Promise<ContainerConfig | undefined> {
  if (digest === undefined) return undefined;
  try {
    return (await loadImage(store, digest, platform)).config.config ?? {};
  } catch (error) {
    if (error instanceof LktError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
