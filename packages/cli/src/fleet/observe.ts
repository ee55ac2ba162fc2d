import type { FleetPass, GroupSpec } from '@lkt/fleet';
import { type FleetFlags, openFleet, type OpenFleet } from '../session/fleet.ts';
import type { Session } from '../session/session.ts';
import { type FleetReport, fleetReport } from './report.ts';

/** A fleet as it was observed once. */
export interface ObservedFleet {
  readonly report: FleetReport;
  readonly pass: FleetPass;
  readonly specs: ReadonlyMap<string, GroupSpec>;
}

/** Opens a fleet, and observes it once. */
export async function observeFleet(session: Session, flags: FleetFlags): Promise<ObservedFleet> {
  await using fleet = await openFleet(session, flags);
  return observe(fleet, session.signal);
}

/** Lists and checks the nodes of an open fleet, without changing any. */
export async function observe(fleet: OpenFleet, signal: AbortSignal): Promise<ObservedFleet> {
  const { FleetController } = await import('@lkt/fleet');
  const { config, providers, openImage, logDir } = fleet;
  const options = { fleet: config, providers, openImage, logDir, onEvent: () => undefined };
  const controller = new FleetController(options);
  const pass = await controller.observe(signal);
  const { specs } = controller;
  return { report: fleetReport(config.name, specs, pass, Date.now()), pass, specs };
}
