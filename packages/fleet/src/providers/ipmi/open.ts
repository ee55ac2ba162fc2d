import { readSecret } from '../../secret-file.ts';
import { MetalProvider } from '../metal/provider.ts';
import { type IpmiMachine, IpmiPower } from './power.ts';
import type { IpmiSettings } from './settings.ts';

/** Settings with absolute paths. */
export interface IpmiOptions extends Omit<IpmiSettings, 'state'> {
  readonly dir: string;
  readonly warn: (text: string) => void;
}

/** @throws LktError NOT_FOUND without the password's file, ACCESS_DENIED if others may read it */
export async function openIpmi(options: IpmiOptions): Promise<MetalProvider<IpmiMachine>> {
  const { dir, passwordFile, machines, warn } = options;
  await readSecret(passwordFile);
  return new MetalProvider({
    dir,
    machines: [...machines].map(([name, machine]) => ({ name, ...machine })),
    power: new IpmiPower(options),
    warn,
  });
}
