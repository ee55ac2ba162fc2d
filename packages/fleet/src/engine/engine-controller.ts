import type { Digest } from '@lkt/core';
import type { FleetConfig, GroupConfig } from '../config/fleet-yml.ts';
import { errorAt } from '../config/group-problem.ts';
import { machineOf } from '../config/group-specs.ts';
import type { GroupPass, PassOptions } from '../controller/group-controller.ts';
import { metadataOf } from '../controller/metadata.ts';
import { withoutMetadata } from '../controller/redact.ts';
import type { FleetEvent } from '../events/event.ts';
import type { Node } from '../node.ts';
import { SPEC_VERSION } from '../node-labels.ts';
import { ProviderError } from '../provider.ts';
import type { ClassifiedNode } from '../reconcile/classify.ts';
import type { Decision, ObservedHealth } from '../reconcile/decision.ts';
import { type GroupSpec, specHash, templateHash } from '../reconcile/group-spec.ts';
import { isOpen } from '../reconcile/windows.ts';
import { decideEngine, type EngineDecision } from './decide.ts';
import type { Engine, EngineGroup, EngineNode, EngineRequest } from './engine.ts';
import { requireKeepable } from './keepable.ts';

/** The environment of the controller of a group that an engine keeps. */
export interface EngineContext {
  readonly fleet: FleetConfig;
  readonly group: GroupConfig;
  readonly spec: GroupSpec;
  readonly engine: Engine;
  /** Returns the engine's name for an image whose signatures were verified. */
  readonly prepare: (image: Digest) => Promise<string>;
  /** Makes the next pass prepare an image again: the provider may have lost it. */
  readonly forget: (image: Digest) => void;
  readonly emit: (event: Omit<FleetEvent, 'fleet' | 'time'>) => void;
  readonly now: () => number;
}

/** Placeholder for a spec that lkt did not write. */
const UNKNOWN = {
  spec: '0'.repeat(16),
  image: `sha256:${'0'.repeat(64)}` as Digest,
  template: '0'.repeat(16),
} as const;

const NO_PORTS: Node['published'] = new Map();

/** Writes the spec of a group to its engine, and watches it. Keeps no state but for events. */
export class EngineController {
  readonly request: EngineRequest;
  readonly #context: EngineContext;
  readonly #stated: string;
  #isRetry = false;
  #wasHalted = false;
  #wasConverged = false;

  /** @throws LktError CONFIG_INVALID for settings that the engine does not support */
  constructor(context: EngineContext) {
    const { group, spec, engine, fleet } = context;
    this.#context = context;
    requireKeepable(group, engine.keepsAges);
    const { size, surge, unavailable, minReadyMs, startupTimeoutMs, expireAfterMs } = spec;
    const limits = { size, surge, unavailable, minReadyMs, startupTimeoutMs, expireAfterMs };
    this.request = {
      fleet: fleet.name,
      group: group.name,
      spec: specHash(spec.image, spec.template),
      image: spec.image,
      template: spec.template,
      size,
      surge,
      unavailable,
      minReadyMs,
      startupTimeoutMs,
      ...(expireAfterMs === undefined ? {} : { expireAfterMs }),
      rollback: spec.rollback,
      machine: { ...machineOf(group), volumes: [] },
      metadata: metadataOf(group, { name: undefined, slot: undefined }),
      settings: group.settings,
    };
    this.#stated = templateHash({ ...limits, rollback: spec.rollback });
    const problem = engine.check(this.request);
    if (problem !== undefined) throw errorAt(group, problem);
  }

  /** Begins a failed roll again in the next pass. */
  retry(): void {
    this.#isRetry = true;
  }

  /** Decides without changing anything. */
  observe(current: EngineGroup | undefined): GroupPass {
    return this.#passOf(current, this.#decide(current));
  }

  /**
   * Requests at most one change from the engine.
   * @throws ProviderError `fenced`; LktError LEASE_LOST
   */
  async pass(current: EngineGroup | undefined, options: PassOptions): Promise<GroupPass> {
    const decision = this.#decide(current);
    const pass = this.#passOf(current, decision);
    this.#tell(pass);
    if (decision.action === undefined) return pass;
    options.requireHeld?.();
    try {
      requireGeneration(current, options.generation);
      await this.#run(decision.action, current, options);
      this.#isRetry = false;
      return pass;
    } catch (error) {
      const { fleet, group, image, metadata } = this.request;
      this.#context.forget(image);
      const told = withoutMetadata(error, { metadata, names: [fleet, group] });
      if (!(told instanceof ProviderError) || told.failure === 'fenced') throw told;
      this.#context.emit({ group, kind: 'error', message: told.message });
      return { ...pass, error: told };
    }
  }

  /**
   * Begins to return the group to its earlier image, if that is trusted still.
   * @returns the image; undefined if the engine cannot, or knows none
   */
  async rollBack(current: EngineGroup, options: PassOptions): Promise<Digest | undefined> {
    const { engine, prepare, emit } = this.#context;
    const { earlier } = current;
    if (earlier === undefined || engine.rollBack === undefined) return undefined;
    const prepared = await prepare(earlier.image);
    emit({ group: this.request.group, kind: 'rollback', image: earlier.image });
    await engine.rollBack({ ...this.request, ...earlier }, prepared, current, options);
    return earlier.image;
  }

  async #run(
    action: NonNullable<EngineDecision['action']>,
    current: EngineGroup | undefined,
    options: PassOptions,
  ): Promise<void> {
    const { engine, prepare, emit } = this.#context;
    const { group, image, spec } = this.request;
    if (action === 'state') {
      const prepared = await prepare(image);
      emit({ group, kind: 'stated', image });
      await engine.state(this.request, prepared, this.#stated, current, options);
    } else if (current !== undefined && action === 'stop') {
      emit({ group, kind: 'stopped' });
      await engine.stop(current, options);
    } else if (current !== undefined && action === 'setDefault') {
      await engine.setDefault?.(current, options);
    } else if (current !== undefined && action === 'rollBack') {
      await this.rollBack(current, options);
    } else if (current !== undefined && action === 'renew') {
      const { runs } = current;
      if (runs === undefined) return;
      const prepared = await prepare(runs.image);
      emit({ group, kind: 'roll', image: runs.image, message: 'for age, after a rollback' });
      await engine.renew?.({ ...this.request, ...runs }, prepared, current, options);
    } else if (current !== undefined) {
      const prepared = await prepare(image);
      const from = current.runs?.spec === spec ? undefined : current.runs?.image;
      emit({
        group,
        kind: 'roll',
        image,
        ...(from === undefined ? {} : { message: `from ${from}` }),
      });
      await engine.roll(this.request, prepared, current, options);
    }
  }

  #decide(current: EngineGroup | undefined): EngineDecision {
    const { spec, now, engine } = this.#context;
    const { expireAfterMs } = this.request;
    return decideEngine(this.request, this.#stated, current, {
      isOpen: isOpen(spec.windows, now()),
      isPaused: spec.isPaused,
      isRetry: this.#isRetry,
      ...(engine.keepsAges || expireAfterMs === undefined
        ? {}
        : { expiredBefore: now() - expireAfterMs }),
    });
  }

  #tell({ decision: { status } }: GroupPass): void {
    const { emit } = this.#context;
    const { group } = this.request;
    if (status.isHalted && !this.#wasHalted)
      emit({ group, kind: 'halted', message: status.holds.join('; ') });
    if (status.isConverged && !this.#wasConverged)
      emit({ group, kind: 'converged', image: status.image });
    this.#wasHalted = status.isHalted;
    this.#wasConverged = status.isConverged;
  }

  #passOf(
    current: EngineGroup | undefined,
    { action, isHalted, isRolledBack, holds }: EngineDecision,
  ): GroupPass {
    const { spec } = this.#context;
    const { size, image, expireAfterMs } = this.request;
    const kept = current?.nodes ?? [];
    const nodes = kept.map((one) => this.#nodeOf(one));
    const live: ClassifiedNode[] = [];
    const health = new Map<string, ObservedHealth>();
    for (const [index, node] of nodes.entries()) {
      const one = kept[index];
      if (one === undefined) continue;
      health.set(node.id, { health: one.health, since: one.created });
      if (node.power !== 'terminating') live.push(this.#classify(node, one, expireAfterMs));
    }
    const count = (is: (one: ClassifiedNode) => boolean): number => live.filter(is).length;
    const available = count(({ isAvailable }) => isAvailable);
    const own = count(({ isAvailable, staleFor }) => isAvailable && staleFor === undefined);
    const isQuiet = action === undefined && current?.roll?.state !== 'running';
    const decision: Decision = {
      actions: [],
      live,
      nextAt: undefined,
      status: {
        size,
        listed: nodes.length,
        available,
        current: own,
        stale: count(({ staleFor }) => staleFor !== undefined),
        failed: 0,
        sick: count(({ isSick }) => isSick),
        image: isRolledBack ? (current?.runs?.image ?? image) : image,
        isRolledBack,
        isHalted,
        isPaused: spec.isPaused && isQuiet && !isHalted && holds.length > 0,
        isConverged: isQuiet && !isHalted && own === size && nodes.length === size,
        holds,
      },
    };
    return { decision, nodes, health };
  }

  #nodeOf({ id, name, power, created, addresses, runs = UNKNOWN }: EngineNode): Node {
    const { fleet, group } = this.request;
    const { spec, image, template } = runs;
    return {
      id,
      name,
      power,
      addresses,
      published: NO_PORTS,
      labels: {
        fleet,
        group,
        spec,
        specVersion: SPEC_VERSION,
        image,
        template,
        generation: 0,
        attempt: 0,
        created,
        ready: created,
      },
    };
  }

  #classify(node: Node, one: EngineNode, expireAfterMs = Infinity): ClassifiedNode {
    const { spec, image } = this.request;
    const isHealthy = node.power === 'running' && one.health === 'healthy';
    const hasExpired = this.#context.now() - one.created >= expireAfterMs;
    const { labels } = node;
    return {
      node,
      isExpired: hasExpired,
      staleFor:
        labels.spec === spec
          ? hasExpired
            ? 'expired'
            : undefined
          : labels.image === image
            ? 'template'
            : 'image',
      isAvailable: isHealthy,
      isHealthy,
      hasFailed: false,
      isSick: one.health === 'unhealthy',
      isOff: node.power === 'stopped',
      becomesReady: false,
      changesAt: Infinity,
    };
  }
}

/** @throws ProviderError `fenced` */
function requireGeneration(current: EngineGroup | undefined, generation: number): void {
  if (current === undefined || current.generation <= generation) return;
  throw new ProviderError(
    'fenced',
    `generation ${generation} is over: ${current.group} is managed by generation ${current.generation}`,
  );
}
