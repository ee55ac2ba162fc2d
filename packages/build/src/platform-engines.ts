import { formatPlatform } from '@lkt/oci';
import type { Engine } from './engine.ts';

/**
 * One engine out of several: that of the platform that an image is for, else `other`.
 * @param engines by platform, as `formatPlatform` writes it
 */
export function platformEngines(engines: ReadonlyMap<string, Engine>, other: Engine): Engine {
  return {
    build: (request, context) =>
      (engines.get(formatPlatform(request.platform)) ?? other).build(request, context),
  };
}
