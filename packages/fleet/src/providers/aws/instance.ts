import type { Instance } from '@aws-sdk/client-ec2';
import type { Node, Power } from '../../node.ts';
import { formatLabels, NAME, type NodeLabels, parseLabels } from '../../node-labels.ts';
import { ProviderError } from '../../provider.ts';

/** Tag with the name of a node; `Name` is for people, who may change it. */
export const NAME_TAG = 'lkt.name';
export const FLEET_TAG = 'lkt.fleet';

const NO_PORTS: Node['published'] = new Map();
const INSTANCE_ID = /^i-[0-9a-f]{8,17}$/;
const ADDRESS = /^[0-9a-f.:]{3,45}$/;
const POWERS: Readonly<Record<string, Power | 'gone'>> = {
  pending: 'pending',
  running: 'running',
  stopping: 'stopped',
  stopped: 'stopped',
  'shutting-down': 'terminating',
  terminated: 'gone',
};

/** A tag of AWS. */
export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** Returns the tags of a node. */
export function tagsOf(name: string, labels: NodeLabels): readonly Tag[] {
  const texts = { Name: name, [NAME_TAG]: name, ...formatLabels(labels) };
  return Object.entries(texts).map(([Key, Value]) => ({ Key, Value }));
}

/** Reports whether a text is the id of an instance. */
export function isInstanceId(id: string): boolean {
  return INSTANCE_ID.test(id);
}

/**
 * Returns the node that an instance is; undefined for a terminated one, which AWS lists for an hour
 * more.
 * @throws ProviderError `malformed`
 */
export function nodeOf(instance: Instance): Node | undefined {
  const id = instance.InstanceId ?? '';
  if (!isInstanceId(id))
    throw new ProviderError('malformed', 'aws: an instance without a valid id');
  const power = POWERS[instance.State?.Name ?? ''];
  if (power === 'gone') return undefined;
  const tags = Object.fromEntries((instance.Tags ?? []).map(({ Key, Value }) => [Key, Value]));
  const labels = parseLabels(tags);
  const name = tags[NAME_TAG] ?? '';
  if (labels === undefined || !NAME.test(name))
    throw new ProviderError('malformed', `aws: the tags of ${id} are damaged`, {
      fix: `terminate ${id}, or remove its tag ${FLEET_TAG}`,
    });
  if (power === undefined) throw new ProviderError('malformed', `aws: ${id} has an unknown state`);
  const addresses = [instance.PublicIpAddress, instance.PrivateIpAddress];
  return {
    id,
    name,
    power,
    labels,
    addresses: addresses.filter((one) => one !== undefined && ADDRESS.test(one)) as string[],
    published: NO_PORTS,
  };
}
