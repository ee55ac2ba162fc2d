import { readSecret } from '../../secret-file.ts';
import { MetalProvider } from '../metal/provider.ts';
import { RedfishClient } from './client.ts';
import type { RedfishMachine } from './machine.ts';
import { RedfishPower } from './power.ts';
import type { RedfishSettings } from './settings.ts';
import { readCertificates } from '../../certificates-file.ts';

/** Settings with absolute paths. */
export interface RedfishOptions extends Omit<RedfishSettings, 'state'> {
  readonly dir: string;
  readonly warn: (text: string) => void;
}

/** @throws LktError NOT_FOUND, ACCESS_DENIED, CONFIG_INVALID for the files that settings name */
export async function openRedfish(options: RedfishOptions): Promise<MetalProvider<RedfishMachine>> {
  const { dir, user, passwordFile, caFile, firmware, mediaUrl, machines, warn } = options;
  const password = await readSecret(passwordFile);
  const ca = caFile === undefined ? undefined : await readCertificates(caFile);
  return new MetalProvider({
    dir,
    machines: [...machines].map(([name, machine]) => ({ name, ...machine })),
    power: new RedfishPower(new RedfishClient({ user, password, ca }), firmware),
    ...(mediaUrl === undefined ? {} : { mediaUrl }),
    firmware,
    warn,
  });
}
