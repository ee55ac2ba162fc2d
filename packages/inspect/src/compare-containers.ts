import { containerSpecs, type SystemConfig } from '@lkt/image';
import type { Platform, Store } from '@lkt/oci';
import { compareValues, type ValueChange } from './compare-values.ts';

/** A container whose image differs between two versions of a config. */
export interface ContainerChange {
  /** Section and name, such as `services sshd`. */
  readonly container: string;
  /** The references of its images as written. */
  readonly before: string;
  readonly after: string;
  /**
   * Differences of its runtime spec and of init's actions for it, such as
   * `config.process.capabilities.bounding`. Undefined if the store lacks one of the images.
   */
  readonly changes?: readonly ValueChange[];
}

/**
 * Compares what the containers with new images may do in two versions of a config.
 * @throws LktError CONFIG_INVALID, IMAGE_INVALID
 */
export async function compareContainers(
  before: SystemConfig,
  after: SystemConfig,
  store: Store,
  platform: Platform,
): Promise<readonly ContainerChange[]> {
  const old = await containerSpecs(before, store, platform);
  const now = await containerSpecs(after, store, platform);
  return [...now].flatMap(([container, { image, spec }]) => {
    const was = old.get(container);
    if (was === undefined || was.image === image) return [];
    const change = { container, before: was.image, after: image };
    return was.spec === undefined || spec === undefined
      ? [change]
      : [{ ...change, changes: compareValues(was.spec, spec) }];
  });
}
