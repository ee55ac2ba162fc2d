import { type Digest, digestOf } from '@lkt/core';
import type { Node, Power } from '../../src/node.ts';
import { type NodeLabels, SPEC_VERSION } from '../../src/node-labels.ts';
import type { Action, Decision, ObservedHealth } from '../../src/reconcile/decision.ts';
import { type GroupSpec, specHash } from '../../src/reconcile/group-spec.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import { isOpen } from '../../src/reconcile/windows.ts';
import { randomOf } from '../../src/simulation/random.ts';

/** How nodes of an image boot. */
export type ImageKind = 'good' | 'bad' | 'half';

/** Probabilities of faults per tick, from 0 to 1. */
export interface Chaos {
  readonly controllerDies: number;
  readonly callFails: number;
  readonly answerLost: number;
  readonly noRoom: number;
  readonly nodeCrashes: number;
  readonly nodeLosesPower: number;
  readonly neverBoots: number;
  readonly clockJumps: number;
  readonly userActs: number;
}

export const CALM: Chaos = {
  controllerDies: 0,
  callFails: 0,
  answerLost: 0,
  noRoom: 0,
  nodeCrashes: 0,
  nodeLosesPower: 0,
  neverBoots: 0,
  clockJumps: 0,
  userActs: 0,
};

const TICK_MS = 10_000;
export const TEMPLATE = '00112233445566ff';

export interface WorldNode {
  readonly id: string;
  readonly name: string;
  labels: NodeLabels;
  power: Power;
  /** When it becomes healthy, by the true time. */
  readonly healthyAt: number;
  isCrashed: boolean;
  goneAt: number;
}

/** A violation of a promise of the reconciler. */
class Violation extends Error {}

/** A provider with faults, the nodes that run there, and a controller that may die anywhere. */
export class World {
  group: GroupSpec;
  readonly nodes: Map<string, WorldNode> = new Map();
  /** True time; the controller's clock differs by `offset`. */
  time = 1_700_000_000_000;
  offset = 0;
  decision: Decision | undefined;
  actionCount = 0;
  readonly kinds: Map<Digest, ImageKind> = new Map();
  readonly #random: () => number;
  #failures = new Map<string, number>();
  #since = new Map<string, ObservedHealth>();
  #isShort = false;
  #earlier: Digest | undefined;
  #rejected: string | undefined;
  #lastClock: number | undefined;
  #count = 0;

  constructor(group: GroupSpec, seed: number) {
    this.group = group;
    this.#random = randomOf(seed);
  }

  get now(): number {
    return this.time + this.offset;
  }

  /** Wants another image. */
  want(kind: ImageKind): void {
    const image = digestOf(`image ${this.kinds.size}`);
    this.kinds.set(image, kind);
    this.group = { ...this.group, image };
  }

  isHealthy({ power, healthyAt, isCrashed }: WorldNode): boolean {
    return power === 'running' && !isCrashed && this.time >= healthyAt;
  }

  get healthyCount(): number {
    return [...this.nodes.values()].filter((node) => this.isHealthy(node)).length;
  }

  tick(chaos: Chaos): void {
    this.time += TICK_MS;
    const chance = (probability: number): boolean =>
      probability > 0 && this.#random() < probability;
    for (const node of this.nodes.values()) {
      if (node.power === 'terminating' && this.time >= node.goneAt) this.nodes.delete(node.id);
      if (chance(chaos.nodeCrashes)) node.isCrashed = true;
      if (chance(chaos.nodeLosesPower) && node.power === 'running') node.power = 'stopped';
    }
    if (chance(chaos.clockJumps)) this.offset += Math.round((this.#random() - 0.5) * 1_200_000);
    if (chance(chaos.userActs)) this.#userActs();
    if (chance(chaos.controllerDies)) {
      // A controller that starts elsewhere knows only what the provider knows.
      this.#failures = new Map();
      this.#since = new Map();
      this.#isShort = false;
      this.#earlier = undefined;
      this.#rejected = undefined;
      this.#lastClock = undefined;
      return;
    }
    if (chance(chaos.callFails)) return;
    this.#pass(chaos, chance);
  }

  #pass(chaos: Chaos, chance: (probability: number) => boolean): void {
    const { now } = this;
    const nodes = this.listed();
    const health = new Map<string, ObservedHealth>();
    for (const node of this.nodes.values()) {
      const state = this.isHealthy(node) ? 'healthy' : 'unhealthy';
      const before = this.#since.get(node.id);
      const since = before?.health === state ? Math.min(before.since, now) : now;
      health.set(node.id, { health: state, since });
    }
    this.#since = health;
    const { expireAfterMs = Infinity } = this.group;
    const passed = now - (this.#lastClock ?? now);
    this.#lastClock = now;
    const hasJumped = passed < 0 || passed > expireAfterMs / 2;
    const drained = new Set<string>();
    for (const { id, labels } of nodes)
      if (labels.draining !== undefined && chance(0.3)) drained.add(id);
    const ready = nodes.find(({ labels }) => labels.ready !== undefined);
    if (ready !== undefined && ready.labels.image !== this.group.image)
      this.#earlier = ready.labels.image;
    const observed = {
      nodes,
      earlier: this.#earlier,
      rejected: this.#rejected,
      health,
      drained,
      failures: this.#failures,
      isShort: this.#isShort,
      hasJumped,
    };
    const decision = reconcile(this.group, observed, now);
    this.decision = decision;
    if (chance(0.02)) this.#requireOrderIndependence(decision, observed, now);
    this.#isShort = this.#isShort && this.#random() < 0.8;
    for (const action of decision.actions) {
      this.actionCount += 1;
      if (chance(chaos.callFails)) return;
      if (action.kind === 'create' && chance(chaos.noRoom)) {
        this.#isShort = true;
        return;
      }
      this.#check(action, observed.isShort);
      this.#apply(action, chaos, chance);
      if (chance(chaos.answerLost)) return;
    }
  }

  listed(): readonly Node[] {
    return [...this.nodes.values()].map(({ id, name, labels, power }) => ({
      id,
      name,
      labels,
      power,
      addresses: [],
      published: new Map(),
    }));
  }

  #requireOrderIndependence(
    decision: Decision,
    observed: Parameters<typeof reconcile>[1],
    now: number,
  ): void {
    const reversed = reconcile(
      this.group,
      { ...observed, nodes: observed.nodes.toReversed() },
      now,
    );
    if (keysOf(reversed).toSorted().join() !== keysOf(decision).toSorted().join())
      throw new Violation('the order of the nodes changes the decision');
  }

  /** Checks the promises about an action, with the truth instead of the controller's view. */
  #check(action: Action, isShort: boolean): void {
    const { group } = this;
    const all = [...this.nodes.values()].filter(({ labels }) => labels.held !== true);
    const held = this.nodes.size - all.length;
    const size = group.size - (group.names === undefined ? 0 : held);
    const surge = group.names === undefined ? group.surge : 0;
    if (action.kind === 'create') {
      if (all.length + 1 > size + surge)
        throw new Violation(`creates node ${all.length + 1} of at most ${size + surge}`);
      if ([...this.nodes.values()].some(({ name }) => name === action.name))
        throw new Violation(`creates ${action.name} again`);
      return;
    }
    const node = this.nodes.get(action.node.id);
    if (node === undefined) return;
    if (action.kind !== 'destroy' && action.kind !== 'drain') return;
    if (node.labels.held === true && node.labels.replace === undefined)
      throw new Violation('destroys a held node');
    const isServing = (one: WorldNode): boolean =>
      this.isHealthy(one) && one.labels.ready !== undefined && one.labels.draining === undefined;
    if (node.labels.held === true || !this.isHealthy(node)) return;
    const serving = all.filter(isServing).length;
    const after = serving - (isServing(node) ? 1 : 0);
    if (after < size - group.unavailable)
      throw new Violation(
        `${action.kind} for ${action.reason} leaves ${after} of ${size}, at most ${group.unavailable} below`,
      );
    const isRoll = ['image', 'template', 'expired'].includes(action.reason);
    const mayRoll = isOpen(group.windows, this.now) && !group.isPaused;
    // A drain that has begun is ended.
    if (isRoll && node.labels.draining === undefined && !mayRoll)
      throw new Violation('replaces a healthy node while paused, or outside of its windows');
    const isExcess = action.kind === 'destroy' && action.reason === 'excess';
    if (surge > 0 && !isShort && !isExcess && isServing(node) && serving <= size)
      throw new Violation('replaces a healthy node before its replacement is healthy');
    const rejected = all.some(({ labels }) => labels.rejected === this.#spec());
    const hasFailed = (one: WorldNode): boolean =>
      one.labels.spec === this.#spec() &&
      one.labels.ready === undefined &&
      one.labels.replace === undefined &&
      !this.isHealthy(one) &&
      one.power !== 'terminating' &&
      (one.power === 'stopped' || this.now >= one.labels.created + group.startupTimeoutMs);
    if (!rejected && !isExcess && all.some(hasFailed))
      throw new Violation('destroys a healthy node although the wanted image fails');
  }

  #spec(): string {
    return specHash(this.group.image, this.group.template);
  }

  #apply(action: Action, chaos: Chaos, chance: (probability: number) => boolean): void {
    if (action.kind === 'create') {
      this.#count += 1;
      const kind = this.kinds.get(action.image) ?? 'good';
      const fails = kind === 'bad' || (kind === 'half' && this.#random() < 0.5);
      const boots = !fails && !chance(chaos.neverBoots);
      const { name, image, spec, attempt, slot, previous, rejected } = action;
      this.nodes.set(`i-${this.#count}`, {
        id: `i-${this.#count}`,
        name,
        labels: {
          fleet: this.group.fleet,
          group: this.group.name,
          spec,
          specVersion: SPEC_VERSION,
          image,
          template: this.group.template,
          generation: 1,
          attempt,
          created: this.now,
          slot,
          previous,
          rejected,
        },
        power: 'running',
        healthyAt: boots ? this.time + Math.round(this.#random() * 60_000) : Infinity,
        isCrashed: false,
        goneAt: Infinity,
      });
      return;
    }
    const node = this.nodes.get(action.node.id);
    if (node === undefined) return;
    const { draining: _, ...rest } = node.labels;
    switch (action.kind) {
      case 'destroy':
        if (action.reason === 'failed') {
          const { spec } = node.labels;
          this.#failures.set(spec, (this.#failures.get(spec) ?? 0) + 1);
        }
        node.power = 'terminating';
        node.goneAt = this.time + Math.round(this.#random() * 60_000);
        break;
      case 'drain':
        node.labels = { ...node.labels, draining: this.now };
        break;
      case 'undrain':
        node.labels = rest;
        break;
      case 'ready':
        this.#failures.delete(node.labels.spec);
        node.labels = { ...node.labels, ready: this.now, attempt: 0 };
        break;
      case 'reject':
        this.#rejected = action.rejected;
        node.labels = { ...node.labels, rejected: action.rejected };
        break;
      case 'rehash':
        node.labels = { ...node.labels, spec: action.spec, specVersion: SPEC_VERSION };
        break;
      case 'finish':
        break;
    }
  }

  #userActs(): void {
    const kind = this.#random();
    const nodes = [...this.nodes.values()];
    const node = nodes[Math.floor(this.#random() * nodes.length)];
    if (kind < 0.4) this.want(kind < 0.15 ? 'bad' : kind < 0.25 ? 'half' : 'good');
    else if (kind < 0.5 && this.group.names === undefined)
      this.group = { ...this.group, size: 1 + Math.floor(this.#random() * 6) };
    else if (kind < 0.6) this.group = { ...this.group, isPaused: !this.group.isPaused };
    else if (node !== undefined && kind < 0.8) node.labels = { ...node.labels, replace: this.now };
    else if (node !== undefined) {
      const { held, ...rest } = node.labels;
      node.labels = held === true ? rest : { ...rest, held: true };
    }
  }

  /** Ends what only the user can end. */
  release(): void {
    this.group = { ...this.group, isPaused: false };
    for (const node of this.nodes.values()) {
      const { held: _, ...rest } = node.labels;
      node.labels = rest;
    }
  }
}

function keysOf({ actions }: Decision): readonly string[] {
  return actions.map((one) => `${one.kind} ${one.kind === 'create' ? one.name : one.node.name}`);
}
