import type { EngineGroup, EngineNode, EngineRoll, EngineSpec } from '../../engine/engine.ts';
import { nameOf } from '../../engine/group-name.ts';
import type { Health, Power } from '../../node.ts';
import { NAME } from '../../node-labels.ts';
import { ProviderError } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf, wordsOf } from '../../rest/json-object.ts';

/** The description of a group, which has no labels. */
export interface GroupRecord {
  readonly fleet: string;
  readonly group: string;
  readonly generation: number;
  readonly stated: string;
  /** Deadline for the first healthy node of a roll; milliseconds since 1970. */
  readonly failsAt?: number;
  /** Name of the template that all nodes had before the last roll. */
  readonly previous?: string;
  /** The spec that was rolled back. */
  readonly rejected?: string;
  /** The update policy has a minimum time, which only the beta of the interface shows. */
  readonly hasMinReady?: boolean;
}

const ADDRESS = /^[0-9a-f.:]{3,45}$/;
export const RESOURCE: RegExp = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const SPEC = /^[0-9a-f]{16}$/;
const INSTANCE_URL = /\/zones\/([a-z0-9-]{1,63})\/instances\/([a-z0-9-]{1,63})$/;
const MAX_DESCRIPTION_CHARS = 1024;
const POWERS: Readonly<Record<string, Power>> = {
  PROVISIONING: 'pending',
  STAGING: 'pending',
  RUNNING: 'running',
  REPAIRING: 'pending',
  STOPPING: 'stopped',
  STOPPED: 'stopped',
  SUSPENDING: 'stopped',
  SUSPENDED: 'stopped',
  TERMINATED: 'stopped',
  DEPROVISIONING: 'terminating',
};

/** Returns the text that {@link parseRecord} reads. */
export function formatRecord(record: GroupRecord): string {
  return JSON.stringify({ lkt: 1, ...record });
}

/**
 * Parses the description of a group.
 * @returns undefined for a group that is not one of lkt's
 * @throws ProviderError `malformed` for a damaged one
 */
export function parseRecord(name: string, text: string): GroupRecord | undefined {
  if (!name.startsWith('lkt-') || !text.startsWith('{"lkt":')) return undefined;
  let value: JsonObject = {};
  try {
    if (text.length <= MAX_DESCRIPTION_CHARS) value = objectOf(JSON.parse(text));
  } catch {
    // Damaged, as below.
  }
  const { generation, failsAt } = value;
  const [fleet, group] = [textOf(value['fleet']), textOf(value['group'])];
  const [previous, rejected] = [textOf(value['previous']), textOf(value['rejected'])];
  const isValid = NAME.test(fleet) && NAME.test(group) && name === nameOf(fleet, group);
  if (!isValid || !isWhole(generation) || !(failsAt === undefined || isWhole(failsAt)))
    throw new ProviderError('malformed', `gcp: the description of ${name} is damaged`, {
      fix: `delete the group ${name}, or its description`,
    });
  return {
    fleet,
    group,
    generation,
    stated: textOf(value['stated']),
    ...(failsAt === undefined ? {} : { failsAt }),
    ...(RESOURCE.test(previous) ? { previous } : {}),
    ...(SPEC.test(rejected) ? { rejected } : {}),
    ...(value['hasMinReady'] === true ? { hasMinReady: true } : {}),
  };
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** Returns the last part of a resource's URL. @throws ProviderError `malformed` */
export function resourceOf(url: unknown): string {
  const name = textOf(url).split('/').at(-1) ?? '';
  if (RESOURCE.test(name)) return name;
  throw new ProviderError('malformed', 'gcp: a resource without a valid name');
}

/** A group as several calls describe it. */
export interface Described {
  readonly record: GroupRecord;
  readonly manager: JsonObject;
  readonly members: readonly JsonObject[];
  /** Specs by names of templates. */
  readonly specs: ReadonlyMap<string, EngineSpec>;
  /** Instances by `ZONE/NAME`. */
  readonly instances: ReadonlyMap<string, JsonObject>;
  readonly now: number;
}

/** Returns the name of the template that new nodes get. */
export function templateOf(manager: JsonObject): string {
  const [version] = objectsOf(manager['versions']);
  return resourceOf(version?.['instanceTemplate'] ?? manager['instanceTemplate']);
}

/** Returns a group as Google describes it. @throws ProviderError `malformed` */
export function groupOf(described: Described): EngineGroup {
  const { record, manager, members, specs } = described;
  const { fleet, group, generation, stated } = record;
  const size = manager['targetSize'];
  if (!isWhole(size)) throw new ProviderError('malformed', 'gcp: a group without a size');
  const hasCheck = objectsOf(manager['autoHealingPolicies']).length > 0;
  const template = templateOf(manager);
  const { previous = template } = record;
  const runs = specs.get(template);
  const earlier = previous === template ? undefined : specs.get(previous);
  const nodes = members.map((member) => nodeOf(member, hasCheck, described));
  return {
    fleet,
    group,
    generation,
    stated,
    size,
    runs,
    roll: rollOf(described, runs, nodes),
    ...(earlier === undefined ? {} : { earlier }),
    nodes,
  };
}

/**
 * Returns the roll of a group. Google retries for ever, so a roll without a healthy node in time
 * has failed. A rollback ends the roll that it undoes.
 */
function rollOf(
  { manager, record: { failsAt = Infinity, rejected }, members, now }: Described,
  runs: EngineSpec | undefined,
  nodes: readonly EngineNode[],
): EngineRoll {
  const spec = rejected ?? runs?.spec;
  if (isReached(manager)) return { spec, state: rejected === undefined ? 'done' : 'rolledBack' };
  if (objectOf(manager['updatePolicy'])['type'] !== 'PROACTIVE') return { spec, state: 'stopped' };
  if (rejected !== undefined) return { spec, state: 'rollingBack' };
  // A roll for age has the template of the nodes before, and a version of another name.
  const wanted = versionOf(objectOf(objectsOf(manager['versions'])[0]));
  const isHealthy = nodes.some(
    ({ health }, index) =>
      health === 'healthy' && versionOf(objectOf(members[index]?.['version'])) === wanted,
  );
  if (isHealthy || now < failsAt) return { spec, state: 'running' };
  const error = members.map(errorOf).find((text) => text !== '');
  return { spec, state: 'failed', message: error ?? 'no node of it is healthy in time' };
}

/** Returns a key that distinguishes the nodes of a roll from earlier ones. */
function versionOf({ instanceTemplate, name }: JsonObject): string {
  return `${textOf(instanceTemplate).split('/').at(-1)} ${textOf(name)}`;
}

/** Reports whether all nodes have the template of new ones. */
export function isReached(manager: JsonObject): boolean {
  return objectOf(objectOf(manager['status'])['versionTarget'])['isReached'] === true;
}

function errorOf(member: JsonObject): string {
  const errors = objectOf(objectOf(member['lastAttempt'])['errors'])['errors'];
  const [first] = objectsOf(errors);
  return first === undefined ? '' : `${wordsOf(first['code'])}: ${wordsOf(first['message'])}`;
}

function nodeOf(
  member: JsonObject,
  hasCheck: boolean,
  { specs, instances, now }: Described,
): EngineNode {
  const [, zone = '', name = ''] = INSTANCE_URL.exec(textOf(member['instance'])) ?? [];
  if (name === '')
    throw new ProviderError('malformed', 'gcp: a managed instance without a valid name');
  const id = `${zone}/${name}`;
  const template = objectOf(member['version'])['instanceTemplate'];
  const instance = instances.get(id) ?? {};
  const created = Date.parse(textOf(instance['creationTimestamp']));
  const action = textOf(member['currentAction']);
  const power = powerOf(textOf(member['instanceStatus']), action);
  const [network] = objectsOf(instance['networkInterfaces']);
  const [access] = objectsOf(network?.['accessConfigs']);
  const addresses = [textOf(access?.['natIP']), textOf(network?.['networkIP'])];
  return {
    id,
    name,
    runs: template === undefined ? undefined : specs.get(resourceOf(template)),
    power,
    health: healthOf(member, power, hasCheck),
    created: Number.isNaN(created) ? now : created,
    addresses: addresses.filter((one) => ADDRESS.test(one)),
  };
}

function powerOf(status: string, action: string): Power {
  if (action === 'DELETING' || action === 'ABANDONING') return 'terminating';
  if (status === '') return 'pending';
  const power = POWERS[status];
  if (power !== undefined) return power;
  throw new ProviderError('malformed', 'gcp: an instance has an unknown state');
}

function healthOf(member: JsonObject, power: Power, hasCheck: boolean): Health {
  const action = member['currentAction'];
  // Google has not verified its health yet.
  if (action === 'VERIFYING' || power === 'pending') return 'unknown';
  if (!hasCheck) return power === 'running' ? 'healthy' : 'unhealthy';
  const [health] = objectsOf(member['instanceHealth']);
  const state = health?.['detailedHealthState'];
  if (state === 'HEALTHY') return 'healthy';
  return state === 'UNHEALTHY' || state === 'TIMEOUT' ? 'unhealthy' : 'unknown';
}
