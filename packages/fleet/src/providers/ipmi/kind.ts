import { join, resolve } from 'node:path';
import type { ProviderKind } from '../../provider.ts';
import { IPMI_SETTINGS, type IpmiSettings } from './settings.ts';

/** Nodes on machines with a BMC, which boot from the network. */
export const ipmi: ProviderKind<IpmiSettings> = {
  kind: 'ipmi',
  about: 'machines that boot from the network, switched by ipmitool',
  settings: IPMI_SETTINGS,
  open: async (settings, { dir, stateDir, warn }) => {
    const { openIpmi } = await import('./open.ts');
    const { state, passwordFile } = settings;
    return openIpmi({
      ...settings,
      dir: state === undefined ? join(stateDir, 'ipmi') : resolve(dir, state),
      passwordFile: resolve(dir, passwordFile),
      warn,
    });
  },
};
