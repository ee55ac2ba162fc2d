import { resolve } from 'node:path';
import type { ProviderKind } from '../../provider.ts';
import {
  OPENSTACK_GROUP_SETTINGS,
  OPENSTACK_SETTINGS,
  type OpenStackGroupSettings,
  type OpenStackSettings,
} from './settings.ts';

/** Nodes as servers of OpenStack. */
export const openstack: ProviderKind<OpenStackSettings, OpenStackGroupSettings> = {
  kind: 'openstack',
  about: 'servers of OpenStack (Nova)',
  bootsFromDisk: true,
  settings: OPENSTACK_SETTINGS,
  groupSettings: OPENSTACK_GROUP_SETTINGS,
  place: ({ authUrl, region }) => ({ authUrl, region }),
  neededSettings: 'openstack: { flavor: m1.small, network: NETWORK }',
  open: async (settings, { dir, variables }) => {
    const { openOpenStack } = await import('./open.ts');
    const { caFile } = settings;
    return openOpenStack({
      ...settings,
      ...(caFile === undefined ? {} : { caFile: resolve(dir, caFile) }),
      variables,
    });
  },
};
