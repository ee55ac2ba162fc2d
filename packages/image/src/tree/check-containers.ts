import { checkSettings } from '../runtime/check-settings.ts';
import type { PlacedContainer } from './containers.ts';

/**
 * Checks that every container can start with its merged settings.
 * @returns warnings about settings without effect
 * @throws LktError CONFIG_INVALID
 */
export function checkContainers({
  containers,
}: {
  readonly containers: readonly PlacedContainer[];
}): readonly string[] {
  return containers.flatMap(({ container, settings }) => checkSettings(container, settings));
}
