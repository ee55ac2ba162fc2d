import { mapConcurrent } from '@lkt/core';
import type { HealthSettings } from '../config/health.ts';
import type { Node } from '../node.ts';
import type { Provider } from '../provider.ts';
import type { ObservedHealth } from '../reconcile/decision.ts';
import { probeNode } from './health-probe.ts';

/** A port check takes half a second, so 10,000 nodes take ten seconds. */
const CHECKS_AT_ONCE = 512;

interface KnownHealth extends ObservedHealth {
  readonly failures: number;
  /** When it was last checked. */
  checked: number;
}

/** Checks nodes, and remembers when the health of each last changed. */
export class HealthChecks {
  readonly #known = new Map<string, KnownHealth>();

  /**
   * Checks the running ones of these nodes, and returns the health of each by id. Healthy ones are
   * checked at intervals, so that many passes in a short time are no reason to lose one. Others are
   * checked in every pass, so that none waits.
   */
  async check(
    nodes: readonly Node[],
    provider: Provider,
    settings: HealthSettings,
    now: () => number,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ObservedHealth>> {
    const running = nodes.filter(({ power }) => power === 'running');
    const due = running.filter(({ id }) => this.#isDue(id, settings, now()));
    await mapConcurrent(
      due,
      async (node) => {
        const problem = await probeNode(node, provider, settings, signal);
        this.#note(node.id, problem, settings, now);
      },
      { concurrency: CHECKS_AT_ONCE, signal },
    );
    const health = new Map<string, ObservedHealth>();
    for (const { id } of running)
      health.set(id, this.#known.get(id) ?? { health: 'unknown', since: now() });
    return health;
  }

  #isDue(id: string, { intervalMs }: HealthSettings, time: number): boolean {
    const known = this.#known.get(id);
    if (known?.health !== 'healthy') return true;
    // A clock that was set back makes no node wait.
    return time - known.checked >= intervalMs || time < known.checked;
  }

  /** Remembers the result of a check. A node that stays as it is costs nothing. */
  #note(
    id: string,
    problem: string | undefined,
    { failures: most }: HealthSettings,
    now: () => number,
  ): void {
    const isHealthy = problem === undefined;
    const before = this.#known.get(id);
    const time = now();
    const isKnown = before !== undefined && before.since <= time;
    if (isHealthy && isKnown && before.health === 'healthy' && before.failures === 0) {
      before.checked = time;
      return;
    }
    const failures = isHealthy ? 0 : (before?.failures ?? 0) + 1;
    const isSpared = before?.health === 'healthy' && failures < most;
    const health = isHealthy || isSpared ? 'healthy' : 'unhealthy';
    // A clock that was set back makes no node wait.
    const since = before?.health === health ? Math.min(before.since, time) : time;
    const why = problem === undefined ? {} : { problem };
    this.#known.set(id, { health, since, failures, checked: time, ...why });
  }

  /** Forgets all nodes but these. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }
}
