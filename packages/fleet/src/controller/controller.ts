import { join } from 'node:path';
import type { Digest } from '@lkt/core';
import { collectGarbage } from '@lkt/core/memory';
import type { FleetConfig, GroupConfig } from '../config/fleet-yml.ts';
import { groupSpecOf, requireNodeNames, volumeName, volumesOf } from '../config/group-specs.ts';
import type { Engine, EngineGroup } from '../engine/engine.ts';
import { EngineController } from '../engine/engine-controller.ts';
import type { Node } from '../node.ts';
import {
  type CallOptions,
  isPassing,
  type MachineImage,
  type Provider,
  ProviderError,
} from '../provider.ts';
import type { GroupSpec } from '../reconcile/group-spec.ts';
import type { FleetEvent } from '../events/event.ts';
import { ImagePruner, type UnusedImage } from './image-pruner.ts';
import type { ImageKeeper } from '../image/kept-images.ts';
import {
  GroupController,
  type GroupPass,
  type ListedNodes,
  type PassOptions,
} from './group-controller.ts';
import { requireCapable } from './require-capable.ts';

/**
 * Minimum number of nodes for a garbage collection after each pass. A list of 10,000 leaves 5 MB,
 * and V8 would keep those of eight passes. It takes 20 ms, in a pause of seconds.
 */
const MANY_NODES = 1000;

/** Options of a {@link FleetController}. */
export interface ControllerOptions {
  readonly fleet: FleetConfig;
  /** The open providers, by their names in the file. */
  readonly providers: ReadonlyMap<string, Provider>;
  /** The open engines, by their names in the file. */
  readonly engines?: ReadonlyMap<string, Engine>;
  /** Returns an image whose signatures the trust policies accept. */
  readonly openImage: (group: GroupConfig, digest: Digest) => Promise<MachineImage>;
  /** Directory for the consoles of failed nodes. */
  readonly logDir: string;
  readonly onEvent: (event: FleetEvent) => void;
  readonly now?: () => number;
}

/** A node whose group is not in the file, or has another provider there. */
interface OrphanNode extends Node {
  /** The provider that lists it. */
  readonly provider: string;
}

/** The state of a fleet after a pass. */
export interface FleetPass {
  readonly groups: ReadonlyMap<string, GroupPass>;
  /** lkt does not touch them. */
  readonly orphans: readonly OrphanNode[];
  /** Names of groups that an engine keeps, and the file does not have. */
  readonly orphanGroups?: readonly string[];
  /** Volumes of which the file wants no node, and no node is listed; only observed. */
  readonly orphanVolumes?: readonly string[];
  /** Images that the fleet removes once it has converged; only observed. */
  readonly unusedImages?: readonly UnusedImage[];
  /** Why providers could not list their nodes, by their names; their groups are missing. */
  readonly unreachable: ReadonlyMap<string, ProviderError>;
}

/** Keeps the nodes of a fleet as its file wants them. */
export class FleetController {
  readonly specs: ReadonlyMap<string, GroupSpec>;
  readonly #options: ControllerOptions;
  readonly #groups: ReadonlyMap<string, GroupController>;
  readonly #engineGroups = new Map<string, EngineController>();
  readonly #prepared = new Map<string, Promise<string>>();
  /** How many nodes the last list of each provider had. */
  readonly #counts = new Map<string, number>();
  readonly #reported = new Set<string>();
  readonly #pruner: ImagePruner | undefined;
  #call: CallOptions | undefined;

  /** @throws LktError CONFIG_INVALID for a group that its provider or budget does not allow */
  constructor(options: ControllerOptions) {
    this.#options = options;
    const { fleet, now = Date.now } = options;
    const specs = new Map<string, GroupSpec>();
    const groups = new Map<string, GroupController>();
    for (const group of fleet.groups.values()) {
      const engine = options.engines?.get(group.provider);
      if (engine !== undefined) {
        // Engines have their own way to spread ages.
        const spec = { ...groupSpecOf(fleet, group, undefined), jitter: 0 };
        const emit = (event: Omit<FleetEvent, 'fleet' | 'time'>): void => this.#emit(event);
        const prepare = async (image: Digest): Promise<string> => this.#prepare(group, image);
        const forget = (image: Digest): void =>
          void this.#prepared.delete(preparedKey(group, image));
        const context = { fleet, group, spec, engine, prepare, forget, emit, now };
        this.#engineGroups.set(group.name, new EngineController(context));
        specs.set(group.name, spec);
        continue;
      }
      const provider = this.#provider(group.provider);
      const spec = groupSpecOf(fleet, group, provider.capabilities.machines);
      requireCapable(group, spec, provider);
      specs.set(group.name, spec);
      const context = {
        fleet,
        group,
        spec,
        provider,
        prepare: async (image: Digest) => this.#prepare(group, image),
        forget: (image: Digest) => void this.#prepared.delete(preparedKey(group, image)),
        logDir: join(options.logDir, group.name),
        emit: (event: Omit<FleetEvent, 'fleet' | 'time'>) => this.#emit(event),
        now,
      };
      groups.set(group.name, new GroupController(context));
    }
    requireNodeNames(fleet, new Map([...specs].filter(([name]) => groups.has(name))));
    this.specs = specs;
    this.#groups = groups;
    const { images: settings } = fleet;
    const keepers = new Map<string, ImageKeeper>();
    for (const [name, { images }] of [...options.providers, ...(options.engines ?? [])])
      if (images !== undefined) keepers.set(name, images);
    const emit = (event: Omit<FleetEvent, 'fleet' | 'time'>): void => this.#emit(event);
    if (settings !== undefined)
      this.#pruner = new ImagePruner({ fleet, settings, keepers, emit, now });
  }

  /**
   * Validates what all providers list, verifies the wanted images, and prepares them at the
   * providers, before any node is changed.
   * @param isPatient a provider that is away is no error: the passes ask it again
   * @throws LktError SIGNATURE_INVALID, NOT_FOUND, IMAGE_INVALID; ProviderError
   */
  async prepareImages(call: CallOptions, { isPatient = false } = {}): Promise<void> {
    this.#call = call;
    const { fleet, providers, engines = new Map<string, Engine>() } = this.#options;
    const unlessAway = async (run: () => Promise<unknown>): Promise<void> => {
      await run().catch((error: unknown) => {
        if (!isPatient || !isPassing(error)) throw error;
      });
    };
    for (const [name, provider] of providers)
      await unlessAway(async () => this.#list(name, provider, call.signal));
    for (const [name, engine] of engines)
      await unlessAway(async () => this.#located(name, async () => engine.list(fleet.name, call)));
    for (const group of fleet.groups.values())
      await unlessAway(async () => this.#prepare(group, group.image.digest));
  }

  /**
   * Lists and checks all nodes, without changing any.
   * @param hasImages also looks for unused images, which takes several calls for each
   */
  async observe(signal: AbortSignal, { hasImages = false } = {}): Promise<FleetPass> {
    const pass = await this.#each(signal, async (group, listed) => group.observe(listed, signal));
    const whole = await this.#eachEngine(pass, signal, async (group, current) =>
      group.observe(current),
    );
    const orphanVolumes = await this.#orphanVolumes(whole, signal);
    const unusedImages =
      hasImages && whole.unreachable.size === 0
        ? await this.#pruner?.find(whole, signal)
        : undefined;
    return {
      ...whole,
      ...(orphanVolumes.length === 0 ? {} : { orphanVolumes }),
      ...(unusedImages === undefined ? {} : { unusedImages }),
    };
  }

  /**
   * Lets an engine return a group to its earlier image.
   * @returns the image; undefined if the engine cannot, or knows none
   */
  async rollBackEngine(name: string, call: PassOptions): Promise<Digest | undefined> {
    this.#call = call;
    const { fleet, engines } = this.#options;
    const provider = fleet.groups.get(name)?.provider ?? '';
    const list = await engines?.get(provider)?.list(fleet.name, call);
    const current = list?.find(({ group }) => group === name);
    return current && this.#engineGroups.get(name)?.rollBack(current, call);
  }

  /** Begins rolls of engines again that failed, in the next pass. */
  retryEngines(): void {
    for (const group of this.#engineGroups.values()) group.retry();
  }

  /**
   * Makes one pass over all groups of providers that can list their nodes.
   * @throws ProviderError if a provider sends a malformed response, or another controller has
   * taken over
   * @throws LktError LEASE_LOST
   */
  async pass(lease: PassOptions): Promise<FleetPass> {
    this.#call = lease;
    const pass = await this.#each(lease.signal, async (group, listed, isDoubtful) =>
      isDoubtful ? group.observe(listed, lease.signal) : group.pass(listed, lease),
    );
    const whole = await this.#eachEngine(pass, lease.signal, async (group, current) =>
      group.pass(current, lease),
    );
    let count = 0;
    for (const { nodes } of whole.groups.values()) count += nodes.length;
    if (count >= MANY_NODES) collectGarbage();
    const { groups, unreachable } = whole;
    const isConverged = [...groups.values()].every(({ decision }) => decision.status.isConverged);
    // A roll may still return to an earlier image.
    if (unreachable.size === 0 && isConverged) await this.#pruner?.prune(whole, lease);
    return whole;
  }

  async #each(
    signal: AbortSignal,
    run: (group: GroupController, listed: ListedNodes, isDoubtful: boolean) => Promise<GroupPass>,
  ): Promise<FleetPass> {
    const { fleet, providers } = this.#options;
    const groups = new Map<string, GroupPass>();
    const orphans: OrphanNode[] = [];
    const unreachable = new Map<string, ProviderError>();
    for (const [name, provider] of providers) {
      const nodes = await this.#list(name, provider, signal).catch(noteIn(unreachable, name));
      if (nodes === undefined) continue;
      // An empty list after nodes were listed may be a failure of the provider: list again.
      const isDoubtful = nodes.length === 0 && (this.#counts.get(name) ?? 0) > 0;
      this.#counts.set(name, nodes.length);
      const all = Map.groupBy(nodes, ({ labels }) => labels.group);
      const left = new Map(all);
      for (const group of fleet.groups.values()) {
        const controller = this.#groups.get(group.name);
        if (group.provider !== name || controller === undefined) continue;
        const listed = { nodes: all.get(group.name) ?? [], taken: this.#taken(group, all) };
        left.delete(group.name);
        const pass = await run(controller, listed, isDoubtful).catch(noteIn(unreachable, name));
        if (pass !== undefined) groups.set(group.name, pass);
      }
      for (const node of [...left.values()].flat()) orphans.push({ ...node, provider: name });
    }
    for (const { id, name, labels } of orphans) this.#reportOrphan(id, name, labels.group);
    return { groups, orphans, unreachable };
  }

  /** Returns the fixed names of a group that nodes of other groups at its provider have. */
  #taken(
    { name: own, provider }: GroupConfig,
    nodes: ReadonlyMap<string, readonly Node[]>,
  ): ReadonlyMap<string, string> {
    const names = new Set(this.specs.get(own)?.names);
    const taken = new Map<string, string>();
    if (names.size === 0) return taken;
    for (const [group, listed] of nodes) {
      // An orphan keeps its name until the user acts: the provider refuses the new node.
      if (group === own || this.#options.fleet.groups.get(group)?.provider !== provider) continue;
      for (const { name } of listed) if (names.has(name)) taken.set(name, group);
    }
    return taken;
  }

  async #list(name: string, provider: Provider, signal: AbortSignal): Promise<readonly Node[]> {
    const fleet = this.#options.fleet.name;
    return this.#located(name, async () => {
      const list = await provider.list(fleet, { signal });
      requireValidList(name, fleet, list);
      return list;
    });
  }

  async #eachEngine(
    pass: FleetPass,
    signal: AbortSignal,
    run: (group: EngineController, current: EngineGroup | undefined) => Promise<GroupPass>,
  ): Promise<FleetPass> {
    const { fleet, engines = new Map<string, Engine>() } = this.#options;
    const groups = new Map(pass.groups);
    const lost: string[] = [];
    const unreachable = new Map(pass.unreachable);
    for (const [name, engine] of engines) {
      const asked = this.#located(name, async () => engine.list(fleet.name, { signal }));
      const list = await asked.catch(noteIn(unreachable, name));
      if (list === undefined) continue;
      for (const group of list) this.#pruner?.note(group);
      const kept = new Map(list.map((one) => [one.group, one]));
      for (const group of fleet.groups.values()) {
        const controller = this.#engineGroups.get(group.name);
        if (group.provider !== name || controller === undefined) continue;
        groups.set(group.name, await run(controller, kept.get(group.name)));
        kept.delete(group.name);
      }
      for (const group of kept.keys()) {
        this.#reportOrphan(`${name} ${group}`, group, group);
        lost.push(group);
      }
    }
    const orphanGroups = lost.length === 0 ? {} : { orphanGroups: lost };
    return { ...pass, groups, unreachable, ...orphanGroups };
  }

  /** Calls a provider, and adds its position in the file when it sends a malformed response. */
  async #located<T>(provider: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      const at = this.#options.fleet.providers.get(provider)?.at;
      if (!(error instanceof ProviderError) || error.failure !== 'malformed' || at === undefined)
        throw error;
      const { cause, fix = 'check its settings, and what answers there' } = error;
      const { message, detail } = at.error(error.message);
      throw new ProviderError('malformed', message, { cause, fix, detail });
    }
  }

  async #orphanVolumes(
    { groups, orphans, unreachable }: FleetPass,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { fleet, providers } = this.#options;
    const kept = new Set<string>();
    for (const { name, names = [] } of this.specs.values()) {
      const group = fleet.groups.get(name);
      if (group === undefined) continue;
      for (const slot of names.keys())
        for (const volume of volumesOf(fleet, group, slot)) kept.add(volume.name);
    }
    const listed = [...orphans, ...[...groups.values()].flatMap(({ nodes }) => nodes)];
    const attached = listed.flatMap(({ labels: { group, slot } }) =>
      slot === undefined ? [] : [volumeName(fleet.name, group, slot, '')],
    );
    const found: string[] = [];
    const reachable = [...providers].filter(([name]) => !unreachable.has(name));
    for (const [, provider] of reachable)
      for (const volume of (await provider.volumes?.(fleet.name, { signal })) ?? [])
        if (!kept.has(volume) && !attached.some((prefix) => volume.startsWith(prefix)))
          found.push(volume);
    return found;
  }

  #reportOrphan(id: string, node: string, group: string): void {
    if (this.#reported.has(id)) return;
    this.#reported.add(id);
    const message = `its group ${group} is not of this provider in the file`;
    this.#emit({ kind: 'orphan', group, node, message });
  }

  async #prepare(group: GroupConfig, image: Digest): Promise<string> {
    const { provider } = group;
    const key = preparedKey(group, image);
    const known = this.#prepared.get(key);
    if (known !== undefined) return known;
    const call = this.#call;
    if (call === undefined) throw new Error('no image is prepared outside of a pass');
    const prepared = this.#options.openImage(group, image).then(async (opened) => {
      const target = this.#options.engines?.get(provider) ?? this.#provider(provider);
      return this.#located(provider, async () => target.prepare(opened, call));
    });
    this.#prepared.set(key, prepared);
    prepared.catch(() => this.#prepared.delete(key));
    return prepared;
  }

  #provider(name: string): Provider {
    const provider = this.#options.providers.get(name);
    if (provider === undefined) throw new Error(`provider ${name} is not open`);
    return provider;
  }

  #emit(event: Omit<FleetEvent, 'fleet' | 'time'>): void {
    const { fleet, now = Date.now, onEvent } = this.#options;
    onEvent({ time: new Date(now()).toISOString(), fleet: fleet.name, ...event });
  }
}

function preparedKey({ provider, name }: GroupConfig, image: Digest): string {
  return `${provider} ${name} ${image}`;
}

/** Returns a handler that records an unreachable provider, so that groups at others go on. */
function noteIn(
  unreachable: Map<string, ProviderError>,
  provider: string,
): (error: unknown) => undefined {
  return (error) => {
    if (!isPassing(error)) throw error;
    unreachable.set(provider, error);
    return undefined;
  };
}

/** Rejects a list that violates the contract of `Provider.list`. */
function requireValidList(provider: string, fleet: string, nodes: readonly Node[]): void {
  const names = new Set<string>();
  const ids = new Set<string>();
  for (const node of nodes) {
    const problem = problemOf(node, fleet, names, ids);
    if (problem !== undefined) throw new ProviderError('malformed', `${provider} lists ${problem}`);
    names.add(node.name);
    ids.add(node.id);
  }
}

/** @param names and ids of the nodes before it */
function problemOf(
  { id, name, labels }: Node,
  fleet: string,
  names: ReadonlySet<string>,
  ids: ReadonlySet<string>,
): string | undefined {
  if (id === '' || name === '') return 'a node without id or name';
  if (names.has(name)) return `two nodes of the name ${name}`;
  // To destroy one of them would destroy the other.
  if (ids.has(id)) return `two nodes of the id ${id}`;
  return labels.fleet === fleet ? undefined : `${name}, which is of the fleet ${labels.fleet}`;
}
