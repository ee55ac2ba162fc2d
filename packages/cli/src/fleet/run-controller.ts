import { setTimeout as sleep } from 'node:timers/promises';
import { LktError } from '@lkt/core';
import type { FleetConfig, FleetPass, GroupPass, GroupStatus, Lease } from '@lkt/fleet';
import { type FleetFlags, openFleet, withLocation } from '../session/fleet.ts';
import type { Session } from '../session/session.ts';
import { openEventSink } from './event-sink.ts';
import { type FleetReport, fleetReport } from './report.ts';

/** How to run the controller of a fleet. */
export interface RunOptions {
  /** Ends after one pass. */
  readonly once?: boolean;
  /** Continues once the fleet has converged, and when its roll has halted. */
  readonly isEndless?: boolean;
  /** Waits for as long as another controller has the lease. */
  readonly isStandby?: boolean;
  readonly timeoutMs?: number;
  /** Forgets rollbacks, and destroys nodes that failed. */
  readonly retry?: boolean;
  readonly write: (line: string) => void;
}

/** Intervals of passes in milliseconds: while something changes, and at rest. */
const BUSY_MS = 500;
const IDLE_MS = 5000;
const MAX_BACKOFF_MS = 60_000;
/**
 * Passes in a row with a permanent error of a group, after which `apply` gives it up. Not one,
 * since clouds lag behind.
 */
const MAX_REFUSALS = 3;

/**
 * Runs the controller of a fleet under its lease, until the fleet has converged.
 * @throws LktError FLEET_HALTED, LEASE_HELD, RUN_FAILED after the timeout; PROVIDER_FAILED
 */
export async function runController(
  session: Session,
  flags: FleetFlags,
  options: RunOptions,
): Promise<FleetReport> {
  const { expiredInBoot, FleetController, requirePrograms } = await import('@lkt/fleet');
  await using fleet = await openFleet(session, flags);
  await requirePrograms(fleet.config, session.environment.variables['PATH'] ?? '');
  const { config, providers, engines, openImage, logDir } = fleet;
  await using sink = await openEventSink(fleet, session, options.write);
  const controller = new FleetController({
    fleet: config,
    providers,
    engines,
    openImage,
    logDir,
    onEvent: sink.onEvent,
  });
  const idleMs = idleTime(config);
  const end = options.timeoutMs === undefined ? Infinity : performance.now() + options.timeoutMs;
  const tell = (message: string): void =>
    sink.onEvent({ time: new Date().toISOString(), fleet: config.name, kind: 'error', message });
  const work = async (call: Lease): Promise<FleetReport> => {
    const { signal } = call;
    await controller.prepareImages(call, { isPatient: options.isEndless === true });
    if (options.retry === true) {
      await forgetFailures(fleet, call);
      controller.retryEngines();
    }
    // A single pass would end before the programs that attest nodes do.
    const hasPrograms = [...config.groups.values()].some(({ attest }) => attest !== undefined);
    if (options.once === true && hasPrograms) await controller.observe(signal);
    const begun = Date.now();
    let failures = 0;
    const refusals = new Map<string, number>();
    let away: FleetPass['unreachable'] = new Map();
    for (;;) {
      signal.throwIfAborted();
      const pass = await controller.pass(call);
      const { unreachable, groups } = pass;
      for (const [name, { message }] of unreachable)
        if (!away.has(name)) tell(`provider ${name}: ${message}`);
      away = unreachable;
      const [refused] = [...groups.values()].flatMap(({ error = [] }) => error);
      failures = unreachable.size === 0 && refused === undefined ? 0 : failures + 1;
      const [missing = refused] = unreachable.values();
      for (const [name, { error }] of groups)
        refusals.set(name, isRefusal(error) ? (refusals.get(name) ?? 0) + 1 : 0);
      const isRefused = (name: string): boolean => (refusals.get(name) ?? 0) >= MAX_REFUSALS;
      // A report of 10,000 nodes is made only for a reader.
      const report = (): FleetReport =>
        fleetReport(config.name, controller.specs, pass, Date.now());
      const statuses = [...groups.values()].map(({ decision }) => decision.status);
      const isConverged = failures === 0 && statuses.every((status) => status.isConverged);
      if (options.once === true) {
        if (missing !== undefined) throw missing;
        return report();
      }
      if (options.isEndless !== true) {
        if (failures === 0 && statuses.every(isDone)) return report();
        for (const [name, { decision }] of groups) {
          const spec = controller.specs.get(name);
          for (const one of decision.live)
            if (one.node.labels.created >= begun && spec !== undefined && expiredInBoot(spec, one))
              throw shortLivedError(config, name, report());
        }
        // The rolls of other groups are completed first.
        if ([...groups].every(([name, group]) => isRefused(name) || isAtRest(group))) {
          if (statuses.some(({ isHalted }) => isHalted)) throw haltedError(report());
          for (const [name, { error }] of groups)
            if (isRefused(name)) throw refusedError(config, name, error, report());
        }
      }
      if (performance.now() > end)
        throw new LktError('RUN_FAILED', `the fleet ${config.name} did not converge in time`, {
          cause: missing,
          report: report(),
          fix: missing?.fix ?? 'see what holds it back: lkt fleet status',
        });
      // Groups at other providers are kept meanwhile.
      const longest = groups.size === 0 ? MAX_BACKOFF_MS : idleMs;
      const backoff = Math.min(BUSY_MS * 2 ** failures, longest);
      await sleep(isConverged ? idleMs : backoff, undefined, { signal }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw error;
      });
    }
  };
  const { isStandby = false } = options;
  return fleet.lease.hold(work, { signal: session.signal, isStandby });
}

/** Returns the interval of passes at rest, short enough for every health check. */
function idleTime({ groups }: FleetConfig): number {
  const intervals = [...groups.values()].map(({ health }) => health?.intervalMs ?? IDLE_MS);
  return Math.max(BUSY_MS, Math.min(IDLE_MS, ...intervals));
}

/** Reports whether nothing is left to do. A pause ends by a change of the file. */
function isDone({ isConverged, isPaused }: GroupStatus): boolean {
  return isConverged || isPaused;
}

/** Reports whether a group waits for a change of the file, or for a distant time. */
function isAtRest({ decision: { status, actions } }: GroupPass): boolean {
  const isHeld = status.holds.length > 0 && actions.length === 0;
  return isDone(status) || status.isHalted || isHeld;
}

/** Reports whether a change fails until a person changes something. */
function isRefusal(error: GroupPass['error']): boolean {
  return error?.failure === 'invalid' || error?.failure === 'denied';
}

function refusedError(
  { groups }: FleetConfig,
  name: string,
  error: GroupPass['error'],
  report: FleetReport,
): unknown {
  const { message = '', cause, fix } = error ?? {};
  const refused = new LktError('PROVIDER_FAILED', message, { cause, fix, report });
  const at = groups.get(name)?.at;
  return at === undefined ? refused : withLocation(at, refused);
}

function shortLivedError({ groups }: FleetConfig, name: string, report: FleetReport): unknown {
  const at = groups.get(name)?.at;
  const message = 'a node took longer to boot than it may live, so replacements would never end';
  const error = new LktError('CONFIG_INVALID', message, { report, fix: 'raise "after"' });
  return at === undefined ? error : withLocation(at.entries().get('expire') ?? at, error);
}

function haltedError(report: FleetReport): LktError {
  const halted = report.groups.find(({ isHalted }) => isHalted);
  const failed = halted?.nodes.find(({ state }) => state === 'failed');
  const { name, problem } = failed ?? {};
  const cause = problem === undefined ? undefined : new Error(`${name}: ${problem}`);
  return new LktError(
    'FLEET_HALTED',
    `the roll of ${halted?.name ?? 'a group'} halted: ${halted?.holds[0] ?? 'a node failed'}`,
    {
      report,
      cause,
      fix: 'read the console of the failed node, then set another image, or run lkt fleet apply --retry',
    },
  );
}

async function forgetFailures(
  fleet: Awaited<ReturnType<typeof openFleet>>,
  call: { readonly generation: number; readonly signal: AbortSignal },
): Promise<void> {
  for (const { node, provider } of await fleet.nodes()) {
    const { rejected, ready, ...labels } = node.labels;
    if (rejected !== undefined)
      await provider.label(node.id, ready === undefined ? labels : { ...labels, ready }, call);
    if (ready === undefined && node.labels.attempt > 0)
      await provider.destroy(node.id, { ...call, reason: 'failed', graceMs: 0 });
  }
}
