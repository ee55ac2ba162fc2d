import type { SystemConfig } from '../config/config.ts';
import { imageDefaults } from '../runtime/image-defaults.ts';
import { mergeSettings } from '../runtime/settings.ts';
import type { SourceImages } from './source-image.ts';

/** A port of the machine on which a service listens. */
export interface ServicePort {
  readonly service: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

/** More are likely a range, which is not forwarded port by port. */
const MAX_PORTS = 32;

/**
 * Returns the ports on which the services of a config listen, each once: the ports that their
 * images expose (EXPOSE), if the service is in the machine's network namespace. At most 32.
 */
export async function servicePorts(
  config: SystemConfig,
  images: SourceImages,
): Promise<readonly ServicePort[]> {
  const ports = new Map<string, ServicePort>();
  for (const { name, image, settings: own } of config.services) {
    const source = await images.find(image);
    const defaults = source.image.config.config ?? {};
    const { net = 'host' } = mergeSettings(own, imageDefaults(source.label, defaults));
    if (net !== 'host' && net !== '') continue;
    for (const exposed of Object.keys(defaults.ExposedPorts ?? {})) {
      const [, port, protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(exposed) ?? [];
      const number = Number(port);
      if (port === undefined || number < 1 || number > 65_535 || ports.has(exposed)) continue;
      ports.set(exposed, { service: name, port: number, protocol: protocol as 'tcp' | 'udp' });
    }
  }
  return [...ports.values()].slice(0, MAX_PORTS);
}
