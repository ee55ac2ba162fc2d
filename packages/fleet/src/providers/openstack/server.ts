import type { Node, Power } from '../../node.ts';
import { formatLabels, NAME, type NodeLabels, parseLabels } from '../../node-labels.ts';
import { ProviderError } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf } from '../../rest/json-object.ts';

const NO_PORTS: Node['published'] = new Map();
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ADDRESS = /^[0-9a-f.:]{3,45}$/;
const MAX_TIME_CHARS = 16;
/** Metadata of a server. */
const KEYS = { name: 'lkt.name', fleet: 'lkt.fleet', killAt: 'lkt.killAt' } as const;
const POWERS: Readonly<Record<string, Power | 'gone'>> = {
  BUILD: 'pending',
  REBUILD: 'pending',
  UNKNOWN: 'pending',
  ACTIVE: 'running',
  REBOOT: 'running',
  HARD_REBOOT: 'running',
  MIGRATING: 'running',
  PASSWORD: 'running',
  RESCUE: 'running',
  RESIZE: 'running',
  REVERT_RESIZE: 'running',
  VERIFY_RESIZE: 'running',
  // It never started, such as for lack of a host: the controller replaces it.
  ERROR: 'stopped',
  PAUSED: 'stopped',
  SHELVED: 'stopped',
  SHELVED_OFFLOADED: 'stopped',
  SHUTOFF: 'stopped',
  SUSPENDED: 'stopped',
  SOFT_DELETED: 'gone',
  DELETED: 'gone',
};

/** A node and what only this provider needs. */
export interface ServerNode extends Node {
  readonly status: string;
  /** When the guest is destroyed if it has not shut down. */
  readonly killAt: number | undefined;
  /** By Nova's clock; sortable. */
  readonly since: string;
}

/** Returns the metadata of a server. */
export function metadataOf(
  name: string,
  labels: NodeLabels,
  killAt?: number,
): Readonly<Record<string, string>> {
  return {
    ...formatLabels(labels),
    [KEYS.name]: name,
    ...(killAt === undefined ? {} : { [KEYS.killAt]: String(killAt) }),
  };
}

/** Reports whether a text is the id of a server. */
export function isServerId(id: string): boolean {
  return ID.test(id);
}

/** Returns the fleet of a server; empty for one that is not of lkt. */
export function fleetOf(server: JsonObject): string {
  return textOf(objectOf(server['metadata'])[KEYS.fleet]);
}

/**
 * Returns the node that a server is; undefined for a deleted one.
 * @throws ProviderError `malformed`
 */
export function nodeOf(server: JsonObject): ServerNode | undefined {
  const [id, status] = [textOf(server['id']), textOf(server['status'])];
  if (!ID.test(id)) throw new ProviderError('malformed', 'openstack: a server without a valid id');
  const power = POWERS[status];
  if (power === 'gone') return undefined;
  const metadata = objectOf(server['metadata']);
  const labels = parseLabels(metadata);
  const name = textOf(metadata[KEYS.name]);
  if (labels === undefined || !NAME.test(name))
    throw new ProviderError('malformed', `openstack: the metadata of ${id} is damaged`, {
      fix: `delete the server ${id}, or its metadata ${KEYS.fleet}`,
    });
  if (power === undefined)
    throw new ProviderError('malformed', `openstack: the server ${id} has an unknown state`);
  const time = textOf(metadata[KEYS.killAt]);
  const killAt = /^\d+$/.test(time) && time.length <= MAX_TIME_CHARS ? Number(time) : undefined;
  const isLeaving = killAt !== undefined || server['OS-EXT-STS:task_state'] === 'deleting';
  return {
    id,
    name,
    labels,
    power: isLeaving ? 'terminating' : power,
    addresses: addressesOf(server),
    published: NO_PORTS,
    status,
    killAt,
    since: textOf(server['created']),
  };
}

function rank(address: JsonObject): number {
  return address['OS-EXT-IPS:type'] === 'floating' ? 0 : 1;
}

/** Returns floating addresses first: the controller may be outside of the cloud. */
function addressesOf(server: JsonObject): readonly string[] {
  const all = Object.values(objectOf(server['addresses'])).flatMap(objectsOf);
  return all
    .toSorted((a, b) => rank(a) - rank(b))
    .map((one) => textOf(one['addr']))
    .filter((one) => ADDRESS.test(one));
}
