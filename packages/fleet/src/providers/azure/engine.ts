import type { Engine, EngineGroup, EngineRequest } from '../../engine/engine.ts';
import { nameOf } from '../../engine/group-name.ts';
import { type CallOptions, type MachineImage, ProviderError } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf } from '../../rest/json-object.ts';
import { type RestCall } from '../../rest/rest-client.ts';
import { AzureClient } from './client.ts';
import { formatTags, groupOf, type GroupTags, parseTags, startOf } from './group.ts';
import { AzureImages } from './images.ts';
import { prepareMachineImage } from './machine-image.ts';
import {
  batchPercent,
  budgetOf,
  GRACE_MINUTES,
  machineOf,
  MIN_BATCH_PERCENT,
  MINUTE_MS,
  repairsOf,
  userDataOf,
} from './model.ts';
import type { AzureGroupSettings, AzureSettings } from './settings.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** Maximum length of user data at Azure. */
const MAX_USER_DATA_CHARS = 65_536;
const SETS = '/Microsoft.Compute/virtualMachineScaleSets';

/**
 * Keeps groups by uniform scale sets. A change of the model rolls by the rolling upgrade policy. At
 * all other times the mode is manual, so that no other change replaces a node.
 */
export class AzureEngine implements Engine {
  readonly keepsAges = false;
  readonly images: AzureImages;
  readonly #settings: AzureSettings;
  readonly #variables: Variables;
  readonly #client: AzureClient;
  readonly #now: () => number;

  constructor(settings: AzureSettings, variables: Variables, now: () => number = Date.now) {
    this.#settings = settings;
    this.#variables = variables;
    this.#client = new AzureClient(settings, variables);
    this.images = new AzureImages(this.#client, settings);
    this.#now = now;
  }

  readonly check: Engine['check'] = (request) => {
    const { surge, unavailable, size, expireAfterMs } = request;
    if (surge > 0 && unavailable > 0)
      return {
        keys: ['roll'],
        message: 'a scale set has either a surge or unavailable nodes',
        fix: 'remove one of both',
      };
    if (size > 0 && batchPercent(request) < MIN_BATCH_PERCENT)
      return {
        keys: ['roll'],
        message: `Azure replaces ${MIN_BATCH_PERCENT}% of the nodes at least`,
        fix: `raise surge or unavailable to ${Math.ceil((size * MIN_BATCH_PERCENT) / 100)}`,
      };
    if (expireAfterMs !== undefined && surge === 0)
      return {
        keys: ['expire'],
        message: 'without a surge, Azure gives old nodes a new disk and no new age',
        fix: 'set surge: 1',
      };
    if (request.startupTimeoutMs > GRACE_MINUTES.max * MINUTE_MS)
      return {
        keys: ['roll', 'startupTimeout'],
        message: `Azure repairs a node that is not healthy after ${GRACE_MINUTES.max} minutes`,
        fix: `write ${GRACE_MINUTES.max}m at most`,
      };
    const { length } = userDataOf(request, this.#now());
    if (length > MAX_USER_DATA_CHARS)
      return {
        keys: ['template', 'metadata'],
        message: `metadata of ${length} bytes in base64 exceeds the ${MAX_USER_DATA_CHARS} of Azure`,
        fix: 'put large files into the image',
      };
    return undefined;
  };

  async prepare(image: MachineImage, { signal }: CallOptions): Promise<string> {
    signal.throwIfAborted();
    return prepareMachineImage(this.#client, this.#settings, this.#variables, image, signal);
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly EngineGroup[]> {
    const groups: EngineGroup[] = [];
    for (const set of await this.#client.list('virtualMachineScaleSets.read', SETS, signal)) {
      const tags = parseTags(set);
      if (tags?.fleet !== fleet) continue;
      const path = `${SETS}/${nameOf(fleet, tags.group)}`;
      const upgrade = await this.#upgrade(path, signal);
      const instances = await this.#client.list(
        'virtualMachineScaleSets.virtualMachines.read',
        `${path}/virtualMachines?$expand=instanceView`,
        signal,
      );
      const addresses = await this.#addresses(path, signal);
      groups.push(groupOf({ tags, set, upgrade, instances, addresses, now: this.#now() }));
    }
    return groups;
  }

  async state(
    request: EngineRequest,
    image: string,
    stated: string,
    current: EngineGroup | undefined,
    { generation, signal }: CallOptions,
  ): Promise<void> {
    const { fleet, group, size } = request;
    const path = `${SETS}/${nameOf(fleet, group)}`;
    const settings = request.settings as AzureGroupSettings;
    const sku = { name: settings.vmSize, tier: 'Standard', capacity: size };
    const upgradePolicy = { mode: 'Manual', rollingUpgradePolicy: budgetOf(request) };
    if (current !== undefined) {
      await this.#patch(path, generation, signal, (tags, set) => ({
        tags: { ...tags, stated },
        // A change of the machine size waits for a roll.
        sku: { ...objectOf(set['sku']), capacity: size },
        properties: { upgradePolicy, automaticRepairsPolicy: repairsOf(request) },
      }));
      return;
    }
    const { spec, image: digest, template } = request;
    const runs = { spec, image: digest, template };
    const tags = {
      fleet,
      group,
      generation,
      stated,
      runs,
      before: undefined,
      rejected: undefined,
      after: '',
      beginsBy: 0,
    };
    const call: RestCall = {
      method: 'PUT',
      // Another controller may be faster.
      headers: { 'if-none-match': '*' },
      json: {
        location: this.#settings.region,
        tags: formatTags(tags),
        sku,
        ...(settings.zones.length === 0 ? {} : { zones: [...settings.zones] }),
        properties: {
          orchestrationMode: 'Uniform',
          overprovision: false,
          upgradePolicy,
          automaticRepairsPolicy: repairsOf(request),
          virtualMachineProfile: machineOf(request, image, this.#client.group, this.#now()),
        },
      },
      signal,
    };
    await unless(['conflict'], this.#client.change('virtualMachineScaleSets.write', path, call));
  }

  async roll(
    request: EngineRequest,
    image: string,
    { nodes }: EngineGroup,
    options: CallOptions,
  ): Promise<void> {
    const { spec } = request;
    const isForAge = nodes.every(
      ({ runs, power }) => power === 'terminating' || runs?.spec === spec,
    );
    await this.#begin(request, image, options, ({ runs, before }) => ({
      before: isForAge ? undefined : runs?.spec === spec ? before : runs,
      rejected: undefined,
    }));
  }

  async rollBack(
    request: EngineRequest,
    image: string,
    _current: EngineGroup,
    options: CallOptions,
  ): Promise<void> {
    await this.#begin(request, image, options, ({ runs }) => ({
      before: runs,
      rejected: runs?.spec,
    }));
  }

  async renew(
    request: EngineRequest,
    image: string,
    _current: EngineGroup,
    options: CallOptions,
  ): Promise<void> {
    await this.#begin(request, image, options, ({ rejected }) => ({ before: undefined, rejected }));
  }

  /** Gives the group another model, and lets Azure replace all nodes. */
  async #begin(
    request: EngineRequest,
    image: string,
    { generation, signal }: CallOptions,
    historyOf: (tags: GroupTags) => Pick<GroupTags, 'before' | 'rejected'>,
  ): Promise<void> {
    const { fleet, group, spec, image: digest, template, startupTimeoutMs } = request;
    const path = `${SETS}/${nameOf(fleet, group)}`;
    const after = startOf(await this.#upgrade(path, signal));
    const runs = { spec, image: digest, template };
    const { userData, storageProfile, networkProfile } = machineOf(
      request,
      image,
      this.#client.group,
      this.#now(),
    );
    const { vmSize: name } = request.settings as AzureGroupSettings;
    await this.#patch(path, generation, signal, (tags, set) => ({
      tags: {
        ...tags,
        ...historyOf(tags),
        runs,
        after,
        beginsBy: this.#now() + startupTimeoutMs,
      },
      sku: { ...objectOf(set['sku']), name, tier: 'Standard' },
      properties: {
        upgradePolicy: { mode: 'Rolling', rollingUpgradePolicy: budgetOf(request) },
        virtualMachineProfile: { userData, storageProfile, networkProfile },
      },
    }));
  }

  async stop({ fleet, group }: EngineGroup, { generation, signal }: CallOptions): Promise<void> {
    const path = `${SETS}/${nameOf(fleet, group)}`;
    await this.#patch(path, generation, signal, (tags) => ({
      tags,
      properties: { upgradePolicy: { mode: 'Manual' } },
    }));
    // It may have ended meanwhile.
    await unless(
      ['conflict', 'missing'],
      this.#client.change(
        'virtualMachineScaleSets.rollingUpgrades.action',
        `${path}/rollingUpgrades/cancel`,
        { method: 'POST', signal },
      ),
    );
  }

  async replace(
    { fleet, group, nodes }: EngineGroup,
    node: string,
    { signal }: CallOptions,
  ): Promise<void> {
    const found = nodes.find(({ name }) => name === node);
    if (found === undefined) throw new ProviderError('missing', `azure: there is no node ${node}`);
    await this.#client.change(
      'virtualMachineScaleSets.reimage.action',
      `${SETS}/${nameOf(fleet, group)}/reimage`,
      { method: 'POST', json: { instanceIds: [found.id] }, signal },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #upgrade(path: string, signal: AbortSignal): Promise<JsonObject | undefined> {
    return this.#client.find(
      'virtualMachineScaleSets.rollingUpgrades.read',
      `${path}/rollingUpgrades/latest`,
      signal,
    );
  }

  /** Returns the private addresses of instances by their numbers. */
  async #addresses(
    path: string,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const interfaces = await this.#client.list(
      'virtualMachineScaleSets.networkInterfaces.read',
      `${path}/networkInterfaces`,
      signal,
    );
    const found = new Map<string, readonly string[]>();
    for (const { properties } of interfaces) {
      const { virtualMachine, ipConfigurations } = objectOf(properties);
      const id = textOf(objectOf(virtualMachine)['id']).split('/').at(-1) ?? '';
      const own = objectsOf(ipConfigurations).map((one) =>
        textOf(objectOf(one['properties'])['privateIPAddress']),
      );
      found.set(id, [...(found.get(id) ?? []), ...own]);
    }
    return found;
  }

  /** Changes a scale set, unless another client has changed it since it was read. */
  async #patch(
    path: string,
    generation: number,
    signal: AbortSignal,
    changeOf: (
      tags: GroupTags,
      set: JsonObject,
    ) => { readonly tags: GroupTags; readonly [key: string]: unknown },
  ): Promise<void> {
    const set = await this.#client.find('virtualMachineScaleSets.read', path, signal);
    const before = set && parseTags(set);
    if (set === undefined || before === undefined)
      throw new ProviderError('missing', `azure: lkt has no scale set ${path}`);
    if (before.generation > generation)
      throw new ProviderError(
        'fenced',
        `generation ${generation} is over: ${before.group} is managed by generation ${before.generation}`,
      );
    const { tags, ...change } = changeOf(before, set);
    // Tags of people stay.
    const kept = Object.entries(objectOf(set['tags'])).filter(([key]) => !key.startsWith('lkt.'));
    const etag = textOf(set['etag']);
    await this.#client.change('virtualMachineScaleSets.write', path, {
      method: 'PATCH',
      headers: etag === '' ? {} : { 'if-match': etag },
      json: {
        ...change,
        tags: { ...Object.fromEntries(kept), ...formatTags({ ...tags, generation }) },
      },
      signal,
    });
  }
}

/** Waits for a change, and ignores failures of these kinds. */
async function unless(ignored: readonly string[], change: Promise<unknown>): Promise<void> {
  try {
    await change;
  } catch (error) {
    if (!(error instanceof ProviderError && ignored.includes(error.failure))) throw error;
  }
}
