import { formatDescription, parseDescription } from '../../engine/description.ts';
import type { Engine, EngineGroup, EngineRequest, EngineSpec } from '../../engine/engine.ts';
import { nameOf } from '../../engine/group-name.ts';
import { type CallOptions, type MachineImage, ProviderError } from '../../provider.ts';
import { type JsonObject, objectOf, objectsOf, textOf } from '../../rest/json-object.ts';
import { GcpClient } from './client.ts';
import type { GcpCredentials } from './credentials.ts';
import {
  formatRecord,
  groupOf,
  type GroupRecord,
  isReached,
  parseRecord,
  resourceOf,
  templateOf,
} from './group.ts';
import { GcpImages } from './images.ts';
import { prepareMachineImage } from './machine-image.ts';
import type { GcpGroupSettings, GcpSettings } from './settings.ts';
import { healingOf, LABELS, propertiesOf } from './template.ts';

/** Maximum length of a value of metadata at Google. */
const MAX_METADATA_BYTES = 262_144;
const MAX_INITIAL_DELAY_SECONDS = 3600;
const MAX_MIN_READY_SECONDS = 3600;

/**
 * Keeps groups by managed instance groups: each spec is an instance template, and the update policy
 * of the group rolls.
 */
export class GcpEngine implements Engine {
  readonly keepsAges = false;
  readonly images: GcpImages;
  readonly #settings: GcpSettings;
  readonly #client: GcpClient;
  readonly #now: () => number;

  constructor(settings: GcpSettings, credentials: GcpCredentials, now: () => number = Date.now) {
    this.#settings = settings;
    this.#client = new GcpClient(settings, credentials);
    this.images = new GcpImages(this.#client, settings.bucket);
    this.#now = now;
  }

  readonly check: Engine['check'] = (request) => {
    const { settings, metadata, minReadyMs, surge, unavailable } = request;
    const { zones, healthCheck } = settings as GcpGroupSettings;
    const isRegional = 'region' in this.#settings.location;
    if (isRegional !== zones.length > 0)
      return {
        keys: ['gcp', 'zones'],
        ...(isRegional
          ? { message: 'a region needs zones in the group', fix: 'add zones of the region' }
          : { message: 'a provider in one zone has no zones', fix: 'remove them' }),
      };
    // The rule of regional groups.
    const wrong = [surge, unavailable].find((nodes) => nodes > 0 && nodes < zones.length);
    if (wrong !== undefined)
      return {
        keys: ['roll'],
        message: `a group in ${zones.length} zones has a surge and unavailable nodes of 0, or ${zones.length} at least`,
        fix: `write surge: ${zones.length}`,
      };
    if (minReadyMs > MAX_MIN_READY_SECONDS * 1000)
      return {
        keys: ['roll', 'minReady'],
        message: 'Google lets nodes be ready for an hour at most before they count',
        fix: 'write 1h at most',
      };
    if (healthCheck !== undefined && request.startupTimeoutMs > MAX_INITIAL_DELAY_SECONDS * 1000)
      return {
        keys: ['roll', 'startupTimeout'],
        message: 'Google repairs a node that is not healthy after an hour',
        fix: 'write 1h at most',
      };
    if (metadata !== undefined && metadata.length > MAX_METADATA_BYTES)
      return {
        keys: ['template', 'metadata'],
        message: `metadata of ${metadata.length} bytes exceeds the ${MAX_METADATA_BYTES} of Google`,
        fix: 'put large files into the image',
      };
    return undefined;
  };

  async prepare(image: MachineImage, { signal }: CallOptions): Promise<string> {
    signal.throwIfAborted();
    return prepareMachineImage(this.#client, this.#settings.bucket, image, signal);
  }

  async list(
    fleet: string,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly EngineGroup[]> {
    const found: { readonly record: GroupRecord; readonly manager: JsonObject }[] = [];
    const { place } = this.#client;
    await this.#client.pages(
      'instanceGroupManagers.list',
      `${place}/instanceGroupManagers`,
      { signal },
      ({ items }) => {
        for (const manager of objectsOf(items)) {
          const name = resourceOf(manager['name']);
          const record = parseRecord(name, textOf(manager['description']));
          if (record?.fleet === fleet) found.push({ record, manager });
        }
      },
    );
    if (found.length === 0) return [];
    const instances = await this.#instances(fleet, signal);
    const specs = new Map<string, EngineSpec>();
    const asked = new Set<string>();
    const groups: EngineGroup[] = [];
    for (const { record, manager } of found) {
      const members = await this.#members(resourceOf(manager['name']), signal);
      const templates = members
        .map((member) => objectOf(member['version'])['instanceTemplate'])
        .filter((url) => url !== undefined)
        .map(resourceOf);
      const { previous = templateOf(manager) } = record;
      for (const template of new Set([templateOf(manager), previous, ...templates])) {
        if (asked.has(template)) continue;
        asked.add(template);
        const spec = await this.#specOf(template, signal);
        if (spec !== undefined) specs.set(template, spec);
      }
      groups.push(groupOf({ record, manager, members, specs, instances, now: this.#now() }));
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
    const { fleet, group, size, minReadyMs } = request;
    const name = nameOf(fleet, group);
    const { place, betaPlace } = this.#client;
    const hasMinReady = minReadyMs > 0;
    const record: GroupRecord = {
      fleet,
      group,
      generation,
      stated,
      ...(hasMinReady ? { hasMinReady } : {}),
    };
    if (current !== undefined) {
      // The size first: the record of the written spec comes last.
      const resize = `${place}/instanceGroupManagers/${name}/resize?size=${size}`;
      if (current.size !== size)
        await this.#client.change('instanceGroupManagers.resize', resize, {
          method: 'POST',
          signal,
        });
      await this.#patch(name, generation, signal, ({ hasMinReady: had, ...before }) => ({
        ...healingOf(request, this.#settings.project),
        updatePolicy: this.#budgetOf(request, had),
        description: formatRecord({ ...before, ...record }),
      }));
      return;
    }
    const template = await this.#ensureTemplate(request, image, signal);
    const { zones } = request.settings as GcpGroupSettings;
    const json = {
      name,
      description: formatRecord(record),
      baseInstanceName: name,
      targetSize: size,
      versions: [{ instanceTemplate: template }],
      updatePolicy: { type: 'OPPORTUNISTIC', ...this.#budgetOf(request) },
      ...healingOf(request, this.#settings.project),
      ...(zones.length === 0
        ? {}
        : { distributionPolicy: { zones: zones.map((zone) => ({ zone: `zones/${zone}` })) } }),
    };
    await this.#insert(
      'instanceGroupManagers.insert',
      `${hasMinReady ? betaPlace : place}/instanceGroupManagers`,
      json,
      signal,
    );
  }

  async roll(
    request: EngineRequest,
    image: string,
    { nodes }: EngineGroup,
    { generation, signal }: CallOptions,
  ): Promise<void> {
    const { fleet, group, spec, startupTimeoutMs } = request;
    const template = await this.#ensureTemplate(request, image, signal);
    const now = this.#now();
    const isForAge = nodes.every(
      ({ runs, power }) => power === 'terminating' || runs?.spec === spec,
    );
    await this.#patch(nameOf(fleet, group), generation, signal, (before, manager) => {
      return {
        // A version of another name replaces nodes of the same template.
        versions: [{ instanceTemplate: template, ...(isForAge ? { name: `lkt-${now}` } : {}) }],
        updatePolicy: { type: 'PROACTIVE', ...this.#budgetOf(request) },
        description: formatRecord({
          ...before,
          generation,
          failsAt: now + startupTimeoutMs,
          previous: isForAge ? undefined : previousOf(before, manager, resourceOf(template)),
          rejected: undefined,
        }),
      };
    });
  }

  async rollBack(
    _request: EngineRequest,
    _image: string,
    { fleet, group, runs }: EngineGroup,
    { generation, signal }: CallOptions,
  ): Promise<void> {
    await this.#patch(nameOf(fleet, group), generation, signal, (before) => {
      const { previous, failsAt: _, ...record } = before;
      if (previous === undefined || runs === undefined)
        throw new ProviderError('missing', `gcp: the group ${group} has no earlier template`);
      return {
        versions: [{ instanceTemplate: this.#templateUrl(previous) }],
        updatePolicy: { type: 'PROACTIVE' },
        description: formatRecord({ ...record, generation, rejected: runs.spec }),
      };
    });
  }

  async renew(
    _request: EngineRequest,
    _image: string,
    { fleet, group }: EngineGroup,
    { generation, signal }: CallOptions,
  ): Promise<void> {
    const name = `lkt-${this.#now()}`;
    await this.#patch(nameOf(fleet, group), generation, signal, (before, manager) => ({
      versions: [{ instanceTemplate: this.#templateUrl(templateOf(manager)), name }],
      updatePolicy: { type: 'PROACTIVE' },
      description: formatRecord({ ...before, generation }),
    }));
  }

  async stop({ fleet, group }: EngineGroup, { generation, signal }: CallOptions): Promise<void> {
    await this.#patch(nameOf(fleet, group), generation, signal, (before) => ({
      updatePolicy: { type: 'OPPORTUNISTIC' },
      description: formatRecord({ ...before, generation }),
    }));
  }

  async replace(
    { fleet, group, nodes }: EngineGroup,
    node: string,
    { signal }: CallOptions,
  ): Promise<void> {
    const found = nodes.find(({ name }) => name === node);
    if (found === undefined) throw new ProviderError('missing', `gcp: there is no node ${node}`);
    const [zone = '', name = ''] = found.id.split('/');
    const { place } = this.#client;
    await this.#client.change(
      'instanceGroupManagers.recreateInstances',
      `${place}/instanceGroupManagers/${nameOf(fleet, group)}/recreateInstances`,
      { method: 'POST', json: { instances: [`zones/${zone}/instances/${name}`] }, signal },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  /** Changes a group, unless another client has changed it since it was read. */
  async #patch(
    name: string,
    generation: number,
    signal: AbortSignal,
    changeOf: (record: GroupRecord, manager: JsonObject) => { readonly updatePolicy: object },
  ): Promise<void> {
    const { place, betaPlace } = this.#client;
    const url = `${place}/instanceGroupManagers/${name}`;
    const manager = await this.#client.find('instanceGroupManagers.get', url, signal);
    const record = parseRecord(name, textOf(manager?.['description']));
    if (manager === undefined || record === undefined)
      throw new ProviderError('missing', `gcp: lkt has no group ${name}`);
    if (record.generation > generation)
      throw new ProviderError(
        'fenced',
        `generation ${generation} is over: ${record.group} is managed by generation ${record.generation}`,
      );
    const json = { ...changeOf(record, manager), fingerprint: textOf(manager['fingerprint']) };
    const isBeta = 'minReadySec' in json.updatePolicy;
    await this.#client.change(
      'instanceGroupManagers.patch',
      isBeta ? `${betaPlace}/instanceGroupManagers/${name}` : url,
      { method: 'PATCH', json, signal },
    );
  }

  async #members(name: string, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const members: JsonObject[] = [];
    const url = `${this.#client.place}/instanceGroupManagers/${name}/listManagedInstances`;
    await this.#client.pages(
      'instanceGroupManagers.listManagedInstances',
      url,
      { method: 'POST', signal },
      ({ managedInstances }) => members.push(...objectsOf(managedInstances)),
    );
    return members;
  }

  /** Returns the instances of a fleet by `ZONE/NAME`: their ages and addresses. */
  async #instances(fleet: string, signal: AbortSignal): Promise<ReadonlyMap<string, JsonObject>> {
    const found = new Map<string, JsonObject>();
    const filter = new URLSearchParams({ filter: `labels.${LABELS.fleet}=${fleet}` });
    await this.#client.pages(
      'instances.aggregatedList',
      `${this.#client.project}/aggregated/instances?${filter.toString()}`,
      { signal },
      ({ items }) => {
        for (const [scope, { instances }] of Object.entries(objectOf(items) as ScopedInstances))
          for (const one of objectsOf(instances))
            found.set(`${scope.replace('zones/', '')}/${textOf(one['name'])}`, one);
      },
    );
    return found;
  }

  async #specOf(template: string, signal: AbortSignal): Promise<EngineSpec | undefined> {
    const url = `${this.#client.project}/global/instanceTemplates/${template}`;
    const found = await this.#client.find('instanceTemplates.get', url, signal);
    return parseDescription(textOf(found?.['description']));
  }

  /** Returns the URL of a spec's template; creates it if it is missing. */
  async #ensureTemplate(
    request: EngineRequest,
    image: string,
    signal: AbortSignal,
  ): Promise<string> {
    const { fleet, group, spec } = request;
    const name = `${nameOf(fleet, group)}-${spec}`;
    const url = `${this.#client.project}/global/instanceTemplates`;
    const json = {
      name,
      description: formatDescription(request),
      properties: propertiesOf(request, image, this.#settings),
    };
    await this.#insert('instanceTemplates.insert', url, json, signal);
    return this.#templateUrl(name);
  }

  #templateUrl(name: string): string {
    return `projects/${this.#settings.project}/global/instanceTemplates/${name}`;
  }

  /** Creates an object, unless it exists. */
  async #insert(what: string, url: string, json: object, signal: AbortSignal): Promise<void> {
    try {
      await this.#client.change(what, url, { method: 'POST', json, signal });
    } catch (error) {
      if (!(error instanceof ProviderError && error.failure === 'conflict')) throw error;
    }
  }

  /** @param hadMinReady whether the group has a minimum time, which is then removed */
  #budgetOf({ surge, unavailable, minReadyMs }: EngineRequest, hadMinReady = false): object {
    return {
      ...(minReadyMs > 0 || hadMinReady ? { minReadySec: Math.ceil(minReadyMs / 1000) } : {}),
      minimalAction: 'REPLACE',
      mostDisruptiveAllowedAction: 'REPLACE',
      replacementMethod: surge === 0 ? 'RECREATE' : 'SUBSTITUTE',
      maxSurge: { fixed: surge },
      maxUnavailable: { fixed: unavailable },
      // Google would move nodes between zones at any time.
      ...('region' in this.#settings.location ? { instanceRedistributionType: 'NONE' } : {}),
    };
  }
}

/** Returns the template to which a rollback of a roll leads: the last one that all nodes had. */
function previousOf(
  { previous }: GroupRecord,
  manager: JsonObject,
  wanted: string,
): string | undefined {
  const current = templateOf(manager);
  return current !== wanted && isReached(manager) ? current : previous;
}

type ScopedInstances = Readonly<Record<string, { readonly instances?: unknown }>>;
