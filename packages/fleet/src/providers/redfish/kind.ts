import { resolve } from 'node:path';
import type { ProviderKind } from '../../provider.ts';
import { stateDirOf } from '../state-dir.ts';
import { REDFISH_SETTINGS, type RedfishSettings } from './settings.ts';

/** Nodes on machines with a Redfish service, which boot from the network. */
export const redfish: ProviderKind<RedfishSettings> = {
  kind: 'redfish',
  about: 'machines that boot from the network or virtual media, switched by Redfish',
  settings: REDFISH_SETTINGS,
  needsDisk: ({ mediaUrl }) => mediaUrl !== undefined,
  place: (settings, dirs) => stateDirOf('redfish', settings, dirs),
  shape: ({ firmware }) => ({ firmware: firmware === 'efi' ? undefined : firmware }),
  open: async (settings, { dir, stateDir, warn }) => {
    const { openRedfish } = await import('./open.ts');
    const { passwordFile, caFile } = settings;
    return openRedfish({
      ...settings,
      dir: stateDirOf('redfish', settings, { dir, stateDir }),
      passwordFile: resolve(dir, passwordFile),
      ...(caFile === undefined ? {} : { caFile: resolve(dir, caFile) }),
      warn,
    });
  },
};
