import type { EngineKind } from '../../engine/engine.ts';
import {
  ASG_GROUP_SETTINGS,
  type AsgGroupSettings,
  AWS_SETTINGS,
  type AwsSettings,
} from '../aws/settings.ts';

/** Groups that AWS keeps: Auto Scaling. */
export const asg: EngineKind<AwsSettings, AsgGroupSettings> = {
  kind: 'asg',
  about: 'EC2 Auto Scaling groups, whose nodes AWS replaces',
  bootsFromDisk: true,
  settings: AWS_SETTINGS,
  groupSettings: ASG_GROUP_SETTINGS,
  neededSettings: 'asg: { instanceType: t3.small, subnets: [subnet-…] }',
  openEngine: async (settings) => {
    const { AsgEngine } = await import('./engine.ts');
    return new AsgEngine(settings);
  },
};
