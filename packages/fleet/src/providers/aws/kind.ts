import type { ProviderKind } from '../../provider.ts';
import {
  AWS_GROUP_SETTINGS,
  AWS_SETTINGS,
  type AwsGroupSettings,
  type AwsSettings,
} from './settings.ts';

/** Nodes as EC2 instances. */
export const aws: ProviderKind<AwsSettings, AwsGroupSettings> = {
  kind: 'aws',
  about: 'EC2 instances',
  bootsFromDisk: true,
  settings: AWS_SETTINGS,
  groupSettings: AWS_GROUP_SETTINGS,
  neededSettings: 'aws: { instanceType: t3.small }',
  open: async (settings) => {
    const { AwsProvider } = await import('./provider.ts');
    return new AwsProvider(settings);
  },
};
