import { type Digest, digestOf } from '@lkt/core';
import type { Node, Power } from '../node.ts';
import { type NodeLabels, SPEC_VERSION } from '../node-labels.ts';
import type { DestroyReason } from '../provider.ts';
import type { Action, ObservedHealth } from '../reconcile/decision.ts';
import type { GroupSpec } from '../reconcile/group-spec.ts';
import { reconcile } from '../reconcile/reconcile.ts';
import { EventQueue } from './event-queue.ts';
import { randomOf } from './random.ts';

/** How simulated nodes behave. Times are in milliseconds. */
export interface NodeModel {
  /** Shortest and longest boot until the health check passes. */
  readonly bootMs: readonly [number, number];
  /** Shortest and longest shutdown. */
  readonly shutdownMs: readonly [number, number];
  /** Mean time until a node fails. */
  readonly failureMs: number;
  /** Fraction of boots that never end. */
  readonly badBoots: number;
}

/** Receives the measurements of a simulated group. */
export interface GroupObserver {
  /** A node was destroyed. */
  replaced(time: number, reason: DestroyReason): void;
  /** Records the number of missing nodes between two times. */
  missing(from: number, to: number, nodes: number): void;
  /** Records the age of a node at its destruction. */
  aged(age: number): void;
}

type Change =
  | { readonly kind: 'healthy' | 'fails' | 'gone'; readonly node: SimulatedNode }
  | { readonly kind: 'release' };

interface SimulatedNode extends Node {
  power: Power;
  labels: NodeLabels;
}

/** Minimum time between passes, as of a controller that checks its nodes. */
const PASS_MS = 60_000;
const NO_ADDRESSES: readonly string[] = [];
const NO_PORTS: Node['published'] = new Map();
const TEMPLATE = '0000000000000000';

/** Options of a simulated group. */
export interface SimulatedGroupOptions {
  readonly spec: Omit<GroupSpec, 'image' | 'template'>;
  readonly model: NodeModel;
  /** Time between new images; undefined: never. */
  readonly releaseMs?: number;
  readonly seed: number;
  readonly start: number;
  readonly end: number;
}

/** Runs one group through simulated time, with the reconciler that real fleets have. */
export function simulateGroup(options: SimulatedGroupOptions, observer: GroupObserver): void {
  new Simulation(options, observer).run();
}

class Simulation {
  readonly #options: SimulatedGroupOptions;
  readonly #observer: GroupObserver;
  readonly #random: () => number;
  readonly #queue = new EventQueue<Change>();
  readonly #nodes = new Map<string, SimulatedNode>();
  readonly #health = new Map<string, ObservedHealth>();
  readonly #failures = new Map<string, number>();
  #group: GroupSpec;
  #now: number;
  #count = 0;
  #release = 0;
  #available = 0;
  /** Whether the end of a node may unblock what the last pass held back. */
  #waits = false;
  #isStarted = false;
  #countedAt: number;
  /** Time of the next pass if nothing changes. */
  #passAt: number;

  constructor(options: SimulatedGroupOptions, observer: GroupObserver) {
    this.#options = options;
    this.#observer = observer;
    this.#random = randomOf(options.seed);
    this.#now = options.start;
    this.#countedAt = options.start;
    this.#passAt = options.start;
    this.#group = { ...options.spec, image: imageOf(0), template: TEMPLATE };
  }

  run(): void {
    const { start, end, releaseMs } = this.#options;
    if (releaseMs !== undefined) this.#queue.push(start + releaseMs, { kind: 'release' });
    for (;;) {
      const time = Math.min(this.#queue.nextTime ?? Infinity, this.#passAt);
      if (time >= end) break;
      // Everything until the next pass is seen by it.
      this.#now = Math.ceil(time / PASS_MS) * PASS_MS;
      let isNews = this.#passAt <= this.#now;
      for (let next = this.#queue.take(this.#now); next !== undefined;) {
        isNews = this.#applyChange(next) || isNews;
        next = this.#queue.take(this.#now);
      }
      if (isNews) this.#pass();
    }
    this.#countMissing(end);
  }

  /** Applies a change, and reports whether the controller may act on it. */
  #applyChange(change: Change): boolean {
    if (change.kind === 'release') {
      this.#release += 1;
      this.#group = { ...this.#group, image: imageOf(this.#release) };
      this.#queue.push(this.#now + (this.#options.releaseMs ?? 0), { kind: 'release' });
      return true;
    }
    const { kind, node } = change;
    if (kind === 'gone') {
      this.#nodes.delete(node.id);
      this.#health.delete(node.id);
      return this.#waits;
    }
    if (node.power !== 'running') return false;
    const health = kind === 'healthy' ? 'healthy' : 'unhealthy';
    this.#health.set(node.id, { health, since: this.#now });
    if (kind === 'healthy') {
      const life = -Math.log(1 - this.#random()) * this.#options.model.failureMs;
      this.#queue.push(this.#now + life, { kind: 'fails', node });
    }
    return true;
  }

  #pass(): void {
    const nodes = [...this.#nodes.values()];
    const observed = {
      nodes,
      health: this.#health,
      drained: NO_IDS,
      failures: this.#failures,
      isShort: false,
      hasJumped: false,
    };
    const { actions, status, nextAt } = reconcile(this.#group, observed, this.#now);
    this.#countMissing(this.#now);
    // The first boots do not count as unavailability.
    this.#isStarted ||= status.isConverged;
    this.#available = status.available;
    this.#waits = status.stale > 0 || status.listed < status.size;
    for (const action of actions) this.#apply(action);
    // A label may allow more.
    const hasLabelled = actions.some(({ kind }) => kind === 'ready' || kind === 'reject');
    this.#passAt = hasLabelled ? this.#now + 1 : (nextAt ?? Infinity);
  }

  #countMissing(time: number): void {
    const missing = Math.max(0, this.#options.spec.size - this.#available);
    if (this.#isStarted && missing > 0) this.#observer.missing(this.#countedAt, time, missing);
    this.#countedAt = time;
  }

  #apply(action: Action): void {
    const { model } = this.#options;
    if (action.kind === 'create') {
      this.#count += 1;
      const { name, image, spec, attempt, previous } = action;
      const node: SimulatedNode = {
        id: `i-${this.#count}`,
        name,
        power: 'running',
        labels: {
          fleet: this.#group.fleet,
          group: this.#group.name,
          spec,
          specVersion: SPEC_VERSION,
          image,
          template: TEMPLATE,
          generation: 1,
          attempt,
          created: this.#now,
          ...(previous === undefined ? {} : { previous }),
        },
        addresses: NO_ADDRESSES,
        published: NO_PORTS,
      };
      this.#nodes.set(node.id, node);
      if (this.#random() >= model.badBoots)
        this.#queue.push(this.#now + this.#between(model.bootMs), { kind: 'healthy', node });
      return;
    }
    const node = this.#nodes.get(action.node.id);
    if (node === undefined) return;
    switch (action.kind) {
      case 'destroy': {
        const { spec, created } = node.labels;
        if (action.reason === 'failed')
          this.#failures.set(spec, (this.#failures.get(spec) ?? 0) + 1);
        node.power = 'terminating';
        this.#observer.replaced(this.#now, action.reason);
        this.#observer.aged(this.#now - created);
        this.#queue.push(this.#now + this.#between(model.shutdownMs), { kind: 'gone', node });
        break;
      }
      case 'ready':
        this.#failures.delete(node.labels.spec);
        node.labels = { ...node.labels, ready: this.#now, attempt: 0 };
        break;
      case 'reject':
        node.labels = { ...node.labels, rejected: action.rejected };
        break;
      case 'drain':
        node.labels = { ...node.labels, draining: this.#now };
        break;
      case 'undrain': {
        const { draining: _, ...labels } = node.labels;
        node.labels = labels;
        break;
      }
      case 'rehash':
      case 'finish':
        break;
    }
  }

  #between([shortest, longest]: readonly [number, number]): number {
    return shortest + this.#random() * (longest - shortest);
  }
}

const NO_IDS: ReadonlySet<string> = new Set();

function imageOf(release: number): Digest {
  return digestOf(`release ${release}`);
}
