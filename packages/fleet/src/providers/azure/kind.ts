import type { EngineKind } from '../../engine/engine.ts';
import {
  AZURE_GROUP_SETTINGS,
  AZURE_SETTINGS,
  type AzureGroupSettings,
  type AzureSettings,
} from './settings.ts';

/** Groups that Azure keeps: scale sets. */
export const azure: EngineKind<AzureSettings, AzureGroupSettings> = {
  kind: 'azure',
  about: 'virtual machine scale sets, whose nodes Azure replaces',
  bootsFromDisk: true,
  settings: AZURE_SETTINGS,
  groupSettings: AZURE_GROUP_SETTINGS,
  place: ({ subscription, resourceGroup, endpoint = null }) => ({
    subscription,
    resourceGroup,
    endpoint,
  }),
  neededSettings: 'azure, with vmSize, subnet, loadBalancer, backendPool and healthProbe',
  openEngine: async (settings, { variables }) => {
    const { AzureEngine } = await import('./engine.ts');
    return new AzureEngine(settings, variables);
  },
};
