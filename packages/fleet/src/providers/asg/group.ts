import type {
  AutoScalingGroup,
  InstanceRefresh,
  Instance as Member,
} from '@aws-sdk/client-auto-scaling';
import type { Instance } from '@aws-sdk/client-ec2';
import type { EngineGroup, EngineNode, EngineRoll, EngineSpec } from '../../engine/engine.ts';
import type { Health, Power } from '../../node.ts';
import { NAME } from '../../node-labels.ts';
import { requiredList } from '../aws/calls.ts';
import { ProviderError } from '../../provider.ts';
import { isInstanceId } from '../aws/instance.ts';

/** A version of a launch template that lkt wrote. */
export interface TemplateVersion {
  readonly version: string;
  readonly runs: EngineSpec;
  readonly image: string | undefined;
  readonly isDefault: boolean;
}

/** Tags of a group. */
export const TAGS = {
  fleet: 'lkt.fleet',
  group: 'lkt.group',
  generation: 'lkt.generation',
  stated: 'lkt.stated',
} as const;

/** Tag of launch templates, and of what is made from them. */
export const TEMPLATE_TAG = 'lkt.asg';

const ADDRESS = /^[0-9a-f.:]{3,45}$/;
const ROLLS: Readonly<Record<string, EngineRoll['state']>> = {
  Pending: 'running',
  InProgress: 'running',
  Baking: 'running',
  Cancelling: 'running',
  RollbackInProgress: 'running',
  Successful: 'done',
  Failed: 'failed',
  RollbackFailed: 'failed',
  Cancelled: 'stopped',
  RollbackSuccessful: 'rolledBack',
};
const MAX_MESSAGE_CHARS = 300;

/** Returns the name of a group, and of its launch template; unique for all fleets and groups. */
export function nameOf(fleet: string, group: string): string {
  return `lkt.${fleet}.${group}`;
}

/** A group as several calls of AWS describe it. */
export interface Described {
  readonly group: AutoScalingGroup;
  readonly refresh: InstanceRefresh | undefined;
  /** Versions of its launch template. */
  readonly versions: ReadonlyMap<string, TemplateVersion>;
  readonly instances: ReadonlyMap<string, Instance>;
}

/** Returns a group as AWS describes it. @throws ProviderError `malformed` */
export function groupOf({ group, refresh, versions, instances }: Described): EngineGroup {
  const tags = new Map((group.Tags ?? []).map(({ Key, Value }) => [Key, Value ?? '']));
  const [fleet = '', name = ''] = [tags.get(TAGS.fleet), tags.get(TAGS.group)];
  if (!NAME.test(fleet) || !NAME.test(name) || group.AutoScalingGroupName !== nameOf(fleet, name))
    throw new ProviderError(
      'malformed',
      `aws: the tags of the group ${group.AutoScalingGroupName ?? ''} are damaged`,
      { fix: `delete the group, or remove its tag ${TAGS.fleet}` },
    );
  const generation = Number(tags.get(TAGS.generation) ?? '0');
  const runs = (version: string | undefined): EngineSpec | undefined =>
    version === undefined ? undefined : versions.get(version)?.runs;
  const own = versions.get(group.LaunchTemplate?.Version ?? '');
  return {
    fleet,
    group: name,
    generation: Number.isSafeInteger(generation) && generation >= 0 ? generation : 0,
    stated: tags.get(TAGS.stated) ?? '',
    size: group.DesiredCapacity ?? 0,
    runs: runs(group.LaunchTemplate?.Version),
    roll: refresh && rollOf(refresh, runs),
    ...(own?.isDefault === false ? { hasOldDefault: true } : {}),
    nodes: requiredList('DescribeAutoScalingGroups', group.Instances).map((member) =>
      nodeOf(member, instances.get(member.InstanceId ?? ''), runs(member.LaunchTemplate?.Version)),
    ),
  };
}

function rollOf(
  { Status, StatusReason, DesiredConfiguration }: InstanceRefresh,
  runs: (version: string | undefined) => EngineSpec | undefined,
): EngineRoll {
  const state = ROLLS[Status ?? ''];
  if (state === undefined)
    throw new ProviderError('malformed', 'aws: an instance refresh has an unknown state');
  return {
    spec: runs(DesiredConfiguration?.LaunchTemplate?.Version)?.spec,
    state,
    ...(StatusReason === undefined
      ? {}
      : { message: StatusReason.replaceAll(/\s+/g, ' ').slice(0, MAX_MESSAGE_CHARS) }),
  };
}

function nodeOf(
  member: Member,
  instance: Instance | undefined,
  runs: EngineSpec | undefined,
): EngineNode {
  const { InstanceId: id = '', LifecycleState: state = '', HealthStatus } = member;
  if (!isInstanceId(id))
    throw new ProviderError('malformed', 'aws: an instance without a valid id');
  const addresses = [instance?.PublicIpAddress, instance?.PrivateIpAddress];
  return {
    id,
    name: id,
    runs,
    power: powerOf(state),
    health: healthOf(state, HealthStatus),
    created: instance?.LaunchTime?.getTime() ?? Date.now(),
    addresses: addresses.filter((one) => one !== undefined && ADDRESS.test(one)) as string[],
  };
}

function powerOf(state: string): Power {
  if (/^(?:Terminating|Terminated|Detaching|Detached)/.test(state)) return 'terminating';
  return state === 'InService' || state === 'Standby' ? 'running' : 'pending';
}

function healthOf(state: string, status: string | undefined): Health {
  if (status === undefined) return 'unknown';
  if (status.toLowerCase() !== 'healthy') return 'unhealthy';
  // A new instance counts as healthy to Auto Scaling before it has booted.
  return state === 'InService' ? 'healthy' : 'unknown';
}
