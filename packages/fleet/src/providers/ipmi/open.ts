import { stat } from 'node:fs/promises';
import { isErrno, LktError } from '@lkt/core';
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
  const { mode } = await stat(passwordFile).catch((cause: unknown) => {
    if (!isErrno(cause, 'ENOENT', 'EACCES', 'ENOTDIR')) throw cause;
    throw new LktError('NOT_FOUND', `there is no file ${passwordFile} with the password`, {
      cause,
      fix: 'write it: its first line is the password of the BMCs',
    });
  });
  if ((mode & 0o077) !== 0)
    throw new LktError('ACCESS_DENIED', `other users may read the password in ${passwordFile}`, {
      fix: `run chmod 600 ${passwordFile}`,
    });
  return new MetalProvider({
    dir,
    machines: [...machines].map(([name, machine]) => ({ name, ...machine })),
    power: new IpmiPower(options),
    warn,
  });
}
