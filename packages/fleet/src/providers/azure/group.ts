import { formatDescription, parseDescription } from '../../engine/description.ts';
import type { EngineGroup, EngineNode, EngineRoll, EngineSpec } from '../../engine/engine.ts';
import { nameOf } from '../../engine/group-name.ts';
import type { Health, Power } from '../../node.ts';
import { NAME } from '../../node-labels.ts';
import { ProviderError } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf, wordsOf } from '../../rest/json-object.ts';

/** The tags of a scale set. */
export interface GroupTags {
  readonly fleet: string;
  readonly group: string;
  readonly generation: number;
  readonly stated: string;
  /** The spec of the model. */
  readonly runs: EngineSpec | undefined;
  /** The spec of the model before the last roll. */
  readonly before: EngineSpec | undefined;
  /** The spec that was rolled back. */
  readonly rejected: string | undefined;
  /** When the upgrade before the last roll began, by Azure's clock; empty without one. */
  readonly after: string;
  /** Latest start of the last roll's upgrade; milliseconds since 1970. */
  readonly beginsBy: number;
}

const ADDRESS = /^[0-9a-f.:]{3,45}$/;
const INSTANCE = /^\d{1,10}$/;
const SPEC = /^[0-9a-f]{16}$/;
const PREFIX = 'lkt.';
const ROLLS: Readonly<Record<string, EngineRoll['state']>> = {
  RollingForward: 'running',
  Completed: 'done',
  Cancelled: 'stopped',
  Faulted: 'failed',
};

/** Returns the tags of a scale set. */
export function formatTags(tags: GroupTags): Readonly<Record<string, string>> {
  const { runs, before, rejected, generation, beginsBy, ...texts } = tags;
  const values = {
    ...texts,
    generation: String(generation),
    beginsBy: String(beginsBy),
    ...(runs === undefined ? {} : { runs: formatDescription(runs) }),
    ...(before === undefined ? {} : { before: formatDescription(before) }),
    ...(rejected === undefined ? {} : { rejected }),
  };
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [`${PREFIX}${key}`, value]),
  );
}

/**
 * Returns the tags of a scale set; undefined if it is not one of lkt's.
 * @throws ProviderError `malformed` for damaged ones
 */
export function parseTags(set: JsonObject): GroupTags | undefined {
  const tags = objectOf(set['tags']);
  const text = (key: string): string => textOf(tags[`${PREFIX}${key}`]);
  const [fleet, group] = [text('fleet'), text('group')];
  if (fleet === '') return undefined;
  const name = textOf(set['name']);
  const generation = Number(text('generation') || Number.NaN);
  const isValid = NAME.test(fleet) && NAME.test(group) && name === nameOf(fleet, group);
  if (!isValid || !Number.isSafeInteger(generation) || generation < 0)
    throw new ProviderError('malformed', `azure: the tags of ${wordsOf(name)} are damaged`, {
      fix: `delete the scale set, or remove its tag ${PREFIX}fleet`,
    });
  return {
    fleet,
    group,
    generation,
    stated: text('stated'),
    runs: parseDescription(text('runs')),
    before: parseDescription(text('before')),
    rejected: SPEC.test(text('rejected')) ? text('rejected') : undefined,
    after: text('after'),
    beginsBy: Number(text('beginsBy')),
  };
}

/** A scale set as several calls describe it. */
export interface Described {
  readonly tags: GroupTags;
  readonly set: JsonObject;
  readonly upgrade: JsonObject | undefined;
  readonly instances: readonly JsonObject[];
  /** Private addresses by the number of an instance. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly now: number;
}

/** Returns the id of the image of new nodes. */
function imageOf(machine: unknown): string {
  const storage = objectOf(objectOf(machine)['storageProfile']);
  // Azure does not keep the case of ids.
  return textOf(objectOf(storage['imageReference'])['id']).toLowerCase();
}

/** Returns a group as Azure describes it. @throws ProviderError `malformed` */
export function groupOf(described: Described): EngineGroup {
  const { tags, set, instances } = described;
  const { fleet, group, generation, stated, runs } = tags;
  const size = objectOf(set['sku'])['capacity'];
  if (!Number.isSafeInteger(size) || Number(size) < 0)
    throw new ProviderError('malformed', 'azure: a scale set without a capacity');
  const nodes = instances.map((instance) => nodeOf(instance, described));
  const roll = rollOf(described);
  const earlier = earlierOf(tags);
  return {
    fleet,
    group,
    generation,
    stated,
    size: Number(size),
    runs,
    ...(roll === undefined ? { roll: undefined } : { roll }),
    ...(earlier === undefined ? {} : { earlier }),
    nodes,
  };
}

/** Returns the spec before a roll that was not rolled back, if only its image was another one. */
function earlierOf({ runs, before, rejected }: GroupTags): EngineSpec | undefined {
  if (rejected !== undefined || before === undefined || runs === undefined) return undefined;
  return before.template === runs.template && before.image !== runs.image ? before : undefined;
}

/** Returns when an upgrade began, by Azure's clock; empty without one. */
export function startOf(upgrade: JsonObject | undefined): string {
  const running = objectOf(objectOf(upgrade?.['properties'])['runningStatus']);
  return textOf(running['startTime']);
}

/** A rollback ends the roll that it undoes. */
function rollOf({ tags, upgrade, set, now }: Described): EngineRoll | undefined {
  const { rejected, runs, after, beginsBy } = tags;
  const spec = rejected ?? runs?.spec;
  const running = rejected === undefined ? 'running' : 'rollingBack';
  const policy = objectOf(objectOf(set['properties'])['upgradePolicy']);
  const isRolling = policy['mode'] === 'Rolling';
  // The upgrade of the last roll begins shortly after it.
  const hasBegun = startOf(upgrade) !== after;
  if (isRolling && !hasBegun)
    return now < beginsBy
      ? { spec, state: running }
      : { spec, state: 'failed', message: 'Azure has not begun it' };
  if (upgrade === undefined || !hasBegun) return undefined;
  const { runningStatus, error } = objectOf(upgrade['properties']);
  const state = ROLLS[textOf(objectOf(runningStatus)['code'])];
  if (state === undefined)
    throw new ProviderError('malformed', 'azure: a rolling upgrade has an unknown state');
  if (state === 'running') return { spec, state: running };
  if (state === 'done' && rejected !== undefined) return { spec, state: 'rolledBack' };
  const message = wordsOf(objectOf(error)['message']);
  return { spec, state, ...(message === '' ? {} : { message }) };
}

function nodeOf(instance: JsonObject, { tags, set, addresses, now }: Described): EngineNode {
  const id = textOf(instance['instanceId']);
  if (!INSTANCE.test(id))
    throw new ProviderError('malformed', 'azure: an instance without a valid number');
  const properties = objectOf(instance['properties']);
  const model = imageOf(objectOf(set['properties'])['virtualMachineProfile']);
  const { runs, before } = tags;
  const hasImage = imageOf(properties) === model;
  // An earlier model of the same spec, such as before a roll for age.
  const isLike = before?.image !== runs?.image || properties['latestModelApplied'] === true;
  const created = Date.parse(textOf(properties['timeCreated']));
  const power = powerOf(properties);
  return {
    id,
    name: `${nameOf(tags.fleet, tags.group)}_${id}`,
    runs: hasImage && isLike ? runs : before,
    power,
    health: healthOf(properties, power),
    created: Number.isNaN(created) ? now : created,
    addresses: (addresses.get(id) ?? []).filter((one) => ADDRESS.test(one)),
  };
}

/** Returns the codes of an instance's state, such as `PowerState/running`. */
function codesOf(properties: JsonObject): readonly string[] {
  const { statuses } = objectOf(properties['instanceView']);
  return objectsOf(statuses).map(({ code }) => textOf(code));
}

function powerOf(properties: JsonObject): Power {
  const state = textOf(properties['provisioningState']);
  if (state === 'Deleting') return 'terminating';
  const codes = codesOf(properties);
  if (codes.includes('PowerState/running')) return 'running';
  if (/^(?:Creating|Updating|Migrating)$/.test(state)) return 'pending';
  if (state === 'Failed' || codes.some((code) => code.startsWith('PowerState/'))) return 'stopped';
  return 'pending';
}

function healthOf(properties: JsonObject, power: Power): Health {
  const { vmHealth } = objectOf(properties['instanceView']);
  const code = textOf(objectOf(objectOf(vmHealth)['status'])['code']);
  if (code === 'HealthState/healthy') return 'healthy';
  return code === 'HealthState/unhealthy' || power === 'stopped' ? 'unhealthy' : 'unknown';
}
