import type { DestroyReason } from '../provider.ts';
import type { GroupSpec } from '../reconcile/group-spec.ts';
import { type NodeModel, simulateGroup } from './simulated-group.ts';

/** Options of a simulated fleet. */
export interface SimulationOptions {
  readonly spec: Omit<GroupSpec, 'image' | 'template'>;
  readonly groups: number;
  readonly days: number;
  readonly model: NodeModel;
  /** Days between new images, to all groups at once; undefined: never. */
  readonly releaseDays?: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** The measurements of a simulated fleet. */
export interface SimulationResult {
  readonly nodes: number;
  readonly days: number;
  readonly replaced: Readonly<Partial<Record<DestroyReason, number>>>;
  /** Mean fraction of missing nodes. */
  readonly unavailability: number;
  /** Largest fraction of missing nodes in a minute. */
  readonly worstUnavailability: number;
  /** Age in days of the oldest node that was destroyed. */
  readonly oldestDays: number;
  /** Mean and largest number of nodes that were destroyed in an hour. */
  readonly perHour: { readonly mean: number; readonly max: number };
  /** Nodes that were destroyed on each day, by reason. */
  readonly daily: readonly Readonly<Partial<Record<DestroyReason, number>>>[];
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** Simulates a fleet of equal groups. Equal options give equal results. */
export function simulate(options: SimulationOptions): SimulationResult {
  const { spec, groups, days, model, releaseDays, seed, signal } = options;
  const start = 1_767_225_600_000;
  const end = start + days * DAY_MS;
  const missing = new Int32Array(days * 1440 + 1);
  const hourly = new Int32Array(days * 24 + 1);
  const daily: Partial<Record<DestroyReason, number>>[] = Array.from({ length: days }, () => ({}));
  const replaced: Partial<Record<DestroyReason, number>> = {};
  let oldest = 0;
  for (let group = 0; group < groups; group += 1) {
    signal?.throwIfAborted();
    simulateGroup(
      {
        spec: { ...spec, name: `g${group}` },
        model,
        ...(releaseDays === undefined ? {} : { releaseMs: releaseDays * DAY_MS }),
        seed: seed + group * 7919,
        start,
        end,
      },
      {
        replaced: (time, reason) => {
          const at = time - start;
          const day = daily[Math.floor(at / DAY_MS)];
          if (day !== undefined) day[reason] = (day[reason] ?? 0) + 1;
          const hour = Math.floor(at / HOUR_MS);
          hourly[hour] = (hourly[hour] ?? 0) + 1;
          replaced[reason] = (replaced[reason] ?? 0) + 1;
        },
        missing: (from, to, nodes) => {
          const last = Math.min(missing.length, Math.round((to - start) / MINUTE_MS));
          for (let minute = Math.round((from - start) / MINUTE_MS); minute < last; minute += 1)
            missing[minute] = (missing[minute] ?? 0) + nodes;
        },
        aged: (age) => {
          oldest = Math.max(oldest, age);
        },
      },
    );
  }
  const nodes = groups * spec.size;
  const total = hourly.reduce((sum, count) => sum + count, 0);
  return {
    nodes,
    days,
    replaced,
    unavailability: missing.reduce((sum, count) => sum + count, 0) / (days * 1440 * nodes),
    worstUnavailability: missing.reduce((most, count) => Math.max(most, count), 0) / nodes,
    oldestDays: oldest / DAY_MS,
    perHour: {
      mean: total / (days * 24),
      max: hourly.reduce((most, count) => Math.max(most, count), 0),
    },
    daily,
  };
}
