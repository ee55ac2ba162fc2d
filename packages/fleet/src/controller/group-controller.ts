import { type Digest, isErrno } from '@lkt/core';
import type { FleetConfig, GroupConfig } from '../config/fleet-yml.ts';
import { DEFAULT_HEALTH } from '../config/health.ts';
import { machineOf, volumesOf } from '../config/group-specs.ts';
import type { Node } from '../node.ts';
import { type NodeLabels, SPEC_VERSION } from '../node-labels.ts';
import { type CallOptions, type Provider, ProviderError } from '../provider.ts';
import type { Action, Decision, ObservedHealth } from '../reconcile/decision.ts';
import { type GroupSpec, specHash } from '../reconcile/group-spec.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { Attestations } from './attestations.ts';
import { Drains } from './drains.ts';
import type { FleetEvent } from '../events/event.ts';
import { HealthChecks } from './health-checks.ts';
import { nodeProblem } from './node-problem.ts';
import { keepConsole } from './kept-consoles.ts';
import { metadataOf } from './metadata.ts';
import { withoutMetadata } from './redact.ts';

/** The environment of the controller of a group. */
export interface GroupContext {
  readonly fleet: FleetConfig;
  readonly group: GroupConfig;
  readonly spec: GroupSpec;
  readonly provider: Provider;
  /** Returns the provider's name for an image whose signatures were verified. */
  readonly prepare: (image: Digest) => Promise<string>;
  /** Makes the next pass prepare an image again: the provider may have lost it. */
  readonly forget: (image: Digest) => void;
  /** Directory for the consoles of nodes that failed. */
  readonly logDir: string;
  readonly emit: (event: Omit<FleetEvent, 'fleet' | 'time'>) => void;
  readonly now: () => number;
}

/** The nodes of a group as its provider lists them. */
export interface ListedNodes {
  readonly nodes: readonly Node[];
  /** As `Observation.taken`. */
  readonly taken: ReadonlyMap<string, string>;
}

/** The lease of a pass. */
export interface PassOptions extends CallOptions {
  /** Throws if the lease may have ended. Called before every change. */
  readonly requireHeld?: () => void;
}

/** The result of a pass over a group. */
export interface GroupPass {
  readonly decision: Decision;
  readonly nodes: readonly Node[];
  readonly health: ReadonlyMap<string, ObservedHealth>;
  /** Why the pass ended before its last action. */
  readonly error?: ProviderError;
}

const SHORTAGE_MS = 60_000;

/** Observes one group, and carries out what `reconcile` decides. Its memory only saves retries. */
export class GroupController {
  readonly #context: GroupContext;
  readonly #checks = new HealthChecks();
  readonly #drains = new Drains();
  readonly #attestations = new Attestations();
  readonly #failures = new Map<string, number>();
  /** The failed change of the last pass, so that a repeated failure is reported once. */
  #failed: { readonly node: string; readonly message: string } | undefined;
  /** A reported change that has not succeeded yet. */
  #told: string | undefined;
  #earlier: Digest | undefined;
  #rejected: string | undefined;
  #shortUntil = 0;
  #lastPass: { readonly clock: number; readonly monotonic: number } | undefined;
  #wasHalted = false;
  #wasConverged = false;

  constructor(context: GroupContext) {
    this.#context = context;
  }

  /** Checks and attests nodes and decides, without changing anything. */
  async observe(listed: ListedNodes, signal: AbortSignal): Promise<GroupPass> {
    return this.#observe(listed, signal, true);
  }

  /** @param waits for attestations; otherwise a later pass has them */
  async #observe(
    { nodes: listed, taken }: ListedNodes,
    signal: AbortSignal,
    waits: boolean,
  ): Promise<GroupPass> {
    const { group, spec, provider, now } = this.#context;
    const settings = group.health ?? DEFAULT_HEALTH;
    const health = await this.#checks.check(listed, provider, settings, now, signal);
    const nodes = await this.#attested(listed, health, waits);
    const ids = new Set(nodes.map(({ id }) => id));
    this.#checks.keep(ids);
    const draining = nodes.filter(({ labels }) => labels.draining !== undefined);
    this.#drains.keep(new Set(draining.map(({ id }) => id)));
    for (const { labels } of nodes)
      if (labels.ready !== undefined && labels.template === spec.template)
        if (labels.image !== spec.image) this.#earlier = labels.image;
    const observed = {
      nodes,
      health,
      drained: this.#drains.done,
      failures: this.#failures,
      taken,
      ...(this.#earlier === undefined ? {} : { earlier: this.#earlier }),
      ...(this.#rejected === undefined ? {} : { rejected: this.#rejected }),
      isShort: now() < this.#shortUntil,
      hasJumped: this.#hasJumped(),
    };
    return { decision: reconcile(spec, observed, now()), nodes, health };
  }

  /**
   * Makes one pass: observes, and carries out the decided changes, until the first error. The next
   * pass lists again.
   * @throws ProviderError `fenced`; LktError LEASE_LOST
   */
  async pass(listed: ListedNodes, options: PassOptions): Promise<GroupPass> {
    const pass = await this.#observe(listed, options.signal, false);
    const { nodes } = listed;
    const { group, emit } = this.#context;
    const { decision } = pass;
    const { drain } = group;
    if (drain !== undefined)
      for (const node of nodes)
        if (node.labels.draining !== undefined && node.power === 'running')
          this.#drains.begin(node, drain, ({ message }) => {
            emit({ group: group.name, kind: 'error', node: node.name, message });
          });
    const { isHalted, isConverged, holds } = decision.status;
    if (isHalted && !this.#wasHalted) {
      // They stay as evidence, of which a host may keep less.
      const consoles: { readonly node: string; readonly console?: string }[] = [];
      const problems: string[] = [];
      for (const { node, hasFailed } of decision.live)
        if (hasFailed) {
          const console = await this.#keepConsole(node, options.signal);
          consoles.push({ node: node.name, ...(console === undefined ? {} : { console }) });
          const problem = nodeProblem(node, pass.health);
          if (problem !== undefined) problems.push(problem);
        }
      const message = [...holds, ...problems.slice(0, 1)].join('; ');
      emit({ group: group.name, kind: 'halted', ...consoles[0], message });
    }
    if (isConverged && !this.#wasConverged)
      emit({ group: group.name, kind: 'converged', image: decision.status.image });
    this.#wasHalted = isHalted;
    this.#wasConverged = isConverged;
    for (const action of decision.actions) {
      options.requireHeld?.();
      try {
        await this.#run(action, pass.health, options);
        this.#told = undefined;
      } catch (error) {
        if (!(error instanceof ProviderError) || error.failure === 'fenced') throw error;
        if (error.failure === 'capacity') this.#shortUntil = this.#context.now() + SHORTAGE_MS;
        const node = nameOf(action);
        const message = describe(error);
        if (this.#failed?.node !== node || this.#failed.message !== message)
          emit({ group: group.name, kind: 'error', node, message });
        this.#failed = { node, message };
        return { ...pass, error };
      }
    }
    this.#failed = undefined;
    return pass;
  }

  /** Returns nodes with their attestation results. A new node serves once it is verified. */
  async #attested(
    nodes: readonly Node[],
    health: ReadonlyMap<string, ObservedHealth>,
    waits: boolean,
  ): Promise<readonly Node[]> {
    const { group, now, emit } = this.#context;
    if (group.attest === undefined) return nodes;
    this.#attestations.keep(new Set(nodes.map(({ id }) => id)));
    const healthy = nodes.filter(({ id }) => health.get(id)?.health === 'healthy');
    this.#attestations.begin(healthy, group.attest, now, ({ name: node }, message) => {
      emit({ group: group.name, kind: 'error', node, message });
    });
    if (waits) await this.#attestations.settled();
    return nodes.map((node) => ({
      ...node,
      attestation:
        this.#attestations.of(node.id) ?? (node.labels.ready === undefined ? 'pending' : undefined),
    }));
  }

  async #run(action: Action, health: GroupPass['health'], options: CallOptions): Promise<void> {
    const { provider, group, emit, now } = this.#context;
    if (action.kind === 'create') return this.#create(action, options);
    const { node } = action;
    const label = async (change: Partial<NodeLabels>): Promise<void> =>
      provider.label(node.id, { ...node.labels, ...change }, options);
    const event = { group: group.name, node: node.name, image: node.labels.image };
    switch (action.kind) {
      case 'destroy': {
        const isLost = action.reason === 'failed' || action.reason === 'unhealthy';
        const console = isLost ? await this.#keepConsole(node, options.signal) : undefined;
        const message = isLost ? nodeProblem(node, health) : undefined;
        this.#tell({
          ...event,
          kind: 'destroy',
          reason: action.reason,
          ...(console === undefined ? {} : { console }),
          ...(message === undefined ? {} : { message }),
        });
        const graceMs = isLost ? 0 : group.grace;
        await provider.destroy(node.id, { ...options, reason: action.reason, graceMs });
        if (action.reason !== 'failed') return;
        const { spec } = node.labels;
        this.#failures.set(spec, (this.#failures.get(spec) ?? 0) + 1);
        return;
      }
      case 'finish':
        return provider.destroy(node.id, {
          ...options,
          reason: 'requested',
          graceMs: group.grace,
        });
      case 'drain':
        emit({ ...event, kind: 'drain', reason: action.reason });
        return label({ draining: now() });
      case 'undrain':
        emit({ ...event, kind: 'undrain' });
        return label({ draining: undefined });
      case 'ready':
        emit({ ...event, kind: 'ready' });
        this.#failures.delete(node.labels.spec);
        return label({ ready: now(), attempt: 0 });
      case 'reject':
        if (this.#rejected !== action.rejected)
          emit({
            ...event,
            kind: 'rollback',
            ...(action.reason === undefined ? {} : { reason: action.reason }),
          });
        this.#rejected = action.rejected;
        return label({ rejected: action.rejected });
      case 'rehash':
        return label({ spec: action.spec, specVersion: SPEC_VERSION });
    }
  }

  async #create(
    action: Extract<Action, { readonly kind: 'create' }>,
    options: CallOptions,
  ): Promise<void> {
    const { fleet, group, spec, provider, prepare, forget, now } = this.#context;
    const { name, image, attempt, slot, previous, rejected } = action;
    const prepared = await prepare(image);
    const labels: NodeLabels = {
      fleet: fleet.name,
      group: group.name,
      spec: specHash(image, spec.template),
      specVersion: SPEC_VERSION,
      image,
      template: spec.template,
      generation: options.generation,
      attempt,
      created: now(),
      ...(slot === undefined ? {} : { slot }),
      ...(previous === undefined ? {} : { previous }),
      ...(rejected === undefined ? {} : { rejected }),
    };
    const volumes = slot === undefined ? [] : volumesOf(fleet, group, slot);
    const metadata = metadataOf(group, { name, slot });
    const template = { ...machineOf(group), volumes };
    const { settings } = group;
    const event = { group: group.name, kind: 'create', node: name, image, attempt } as const;
    await provider
      .create({ name, image: prepared, labels, template, metadata, settings }, options)
      .catch((error: unknown) => {
        forget(image);
        // The node may exist all the same.
        if (error instanceof ProviderError && error.failure === 'unavailable') this.#tell(event);
        throw withoutMetadata(error, { metadata, names: [fleet.name, group.name, name] });
      });
    this.#tell(event);
  }

  /** Reports the start of a change, once for all its attempts. */
  #tell(event: Parameters<GroupContext['emit']>[0]): void {
    const change = `${event.kind} ${event.node}`;
    if (this.#told !== change) this.#context.emit(event);
    this.#told = change;
  }

  /** Saves the console of a node before it is destroyed, and returns the file. */
  async #keepConsole(node: Node, signal: AbortSignal): Promise<string | undefined> {
    const { provider, logDir, group, emit } = this.#context;
    const bytes = await provider.console?.(node.id, { signal }).catch((error: unknown) => {
      if (error instanceof ProviderError) return undefined;
      throw error;
    });
    if (bytes === undefined || bytes.length === 0) return undefined;
    try {
      return await keepConsole(logDir, node, bytes);
    } catch (error) {
      // A full disk must not keep a failed node alive.
      if (!(error instanceof Error && isErrno(error, 'ENOSPC', 'EDQUOT', 'EACCES', 'EROFS')))
        throw error;
      const message = `its console is not kept: ${error.message}`;
      emit({ group: group.name, kind: 'error', node: node.name, message });
      return undefined;
    }
  }

  /** Reports whether the clock was set since the last pass. */
  #hasJumped(): boolean {
    const clock = this.#context.now();
    const monotonic = performance.now();
    const last = this.#lastPass;
    this.#lastPass = { clock, monotonic };
    if (last === undefined) return false;
    const jump = Math.abs(clock - last.clock - (monotonic - last.monotonic));
    return jump > Math.min(MAX_JUMP_MS, (this.#context.spec.expireAfterMs ?? Infinity) / 2);
  }
}

/** A clock that is set by more than this has jumped. */
const MAX_JUMP_MS = 3_600_000;

function nameOf(action: Action): string {
  return action.kind === 'create' ? action.name : action.node.name;
}

function describe(error: ProviderError): string {
  const { message, cause } = error;
  // The message may be that of its cause.
  return cause instanceof Error && cause.message !== message
    ? `${message}: ${cause.message}`
    : message;
}
