import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LktError } from '@lkt/core';
import type { SimulationResult } from '@lkt/fleet/simulation';
import { LktCommand } from '../../command.ts';
import { Flags, valueFlag } from '../../flags/options.ts';
import { columns } from '../../output/lines.ts';

const MAX_NODES = 1_000_000;
const DAY_MS = 86_400_000;

export class FleetSimulate extends LktCommand {
  static override summary = 'Simulate a fleet: how many nodes are missing and replaced, and when';
  static override description = `Runs the reconciler over simulated nodes and time, to choose budgets, maximum age and jitter. Nodes boot in 20 to 180 seconds, two boots in a thousand never end, and a node fails once a year. Equal options give equal results.`;
  static override examples = [
    '<%= config.bin %> fleet simulate --groups 50 --size 20 --jitter 0 --svg year.svg',
  ];
  static override flags = {
    groups: Flags.integer({ summary: 'groups', helpValue: 'N', default: 5000, min: 1 }),
    size: Flags.integer({ summary: 'nodes of a group', helpValue: 'N', default: 20, min: 1 }),
    days: Flags.integer({ summary: 'time', helpValue: 'DAYS', default: 365, min: 1, max: 3650 }),
    expire: Flags.integer({ summary: 'maximum age', helpValue: 'DAYS', default: 30, min: 1 }),
    jitter: Flags.integer({
      summary: 'part of the age by which nodes expire earlier',
      helpValue: 'PERCENT',
      default: 10,
      min: 0,
      max: 100,
    }),
    release: Flags.integer({
      summary: 'time between new images, to all groups at once',
      helpValue: 'DAYS',
      default: 90,
      min: 1,
    }),
    surge: Flags.integer({ summary: 'nodes beyond the size', helpValue: 'N', default: 1, min: 0 }),
    unavailable: Flags.integer({
      summary: 'nodes that may be missing',
      helpValue: 'N',
      default: 0,
      min: 0,
    }),
    seed: Flags.integer({ summary: 'seed of the random numbers', helpValue: 'N', default: 1 }),
    svg: valueFlag('FILE', 'file for a chart of the nodes replaced on each day'),
  };

  async run(): Promise<SimulationResult> {
    const { flags } = await this.parse(FleetSimulate);
    const { groups, size, days, surge, unavailable } = flags;
    if (groups * size > MAX_NODES)
      throw new LktError(
        'USAGE_INVALID',
        `the simulation has ${groups * size} nodes; at most ${MAX_NODES}`,
        {
          fix: 'lower --groups or --size',
        },
      );
    if (surge === 0 && unavailable === 0)
      throw new LktError('USAGE_INVALID', 'with --surge 0 and --unavailable 0 no node is replaced');
    const session = await this.begin(flags);
    const { simulate, simulationSvg } = await import('@lkt/fleet/simulation');
    const result = simulate({
      spec: {
        fleet: 'simulated',
        name: 'group',
        size,
        surge,
        unavailable,
        windows: [],
        startupTimeoutMs: 600_000,
        minReadyMs: 0,
        retries: 1,
        expireAfterMs: flags.expire * DAY_MS,
        jitter: flags.jitter / 100,
        maxSick: 0.4,
        rollback: 'off',
        isPaused: false,
      },
      groups,
      days,
      releaseDays: flags.release,
      seed: flags.seed,
      model: {
        bootMs: [20_000, 180_000],
        shutdownMs: [5000, 60_000],
        failureMs: 365 * DAY_MS,
        badBoots: 0.002,
      },
      signal: session.signal,
    });
    if (flags.svg !== undefined)
      await writeFile(resolve(session.environment.cwd, flags.svg), simulationSvg(result));
    this.endProgress();
    for (const line of linesOf(result)) this.log(line);
    return result;
  }
}

function linesOf(result: SimulationResult): readonly string[] {
  const { nodes, days, replaced, unavailability, worstUnavailability, oldestDays } = result;
  const { mean, max } = result.perHour;
  const reasons = Object.entries(replaced).map(([reason, count]): readonly string[] => [
    `replaced: ${reason}`,
    String(count),
  ]);
  return columns([
    ['nodes', String(nodes)],
    ['days', String(days)],
    ['missing, on average', percent(unavailability)],
    ['missing, worst minute', percent(worstUnavailability)],
    ['oldest node', `${oldestDays.toFixed(2)} days`],
    ...reasons,
    ['replaced in an hour, on average', mean.toFixed(1)],
    ['replaced in an hour, most', String(max)],
  ]);
}

function percent(part: number): string {
  return `${(part * 100).toFixed(4)} %`;
}
