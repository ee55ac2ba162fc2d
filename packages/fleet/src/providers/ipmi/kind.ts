import { resolve } from 'node:path';
import type { ProviderKind } from '../../provider.ts';
import { stateDirOf } from '../state-dir.ts';
import { IPMI_SETTINGS, type IpmiSettings } from './settings.ts';

/** Nodes on machines with a BMC, which boot from the network. */
export const ipmi: ProviderKind<IpmiSettings> = {
  kind: 'ipmi',
  about: 'machines that boot from the network, switched by ipmitool',
  settings: IPMI_SETTINGS,
  place: (settings, dirs) => stateDirOf('ipmi', settings, dirs),
  shape: ({ firmware }) => ({ firmware: firmware === 'efi' ? undefined : firmware }),
  open: async (settings, { dir, stateDir, warn }) => {
    const { openIpmi } = await import('./open.ts');
    const { passwordFile } = settings;
    return openIpmi({
      ...settings,
      dir: stateDirOf('ipmi', settings, { dir, stateDir }),
      passwordFile: resolve(dir, passwordFile),
      warn,
    });
  },
};
