import type { Digest } from '@lkt/core';
import { FleetController, type FleetPass, type GroupSpec } from '@lkt/fleet';
import type { OpenFleet } from '../session/fleet.ts';
import { type FleetReport, fleetReport } from './report.ts';

/** A fleet as it was observed once. */
export interface ObservedFleet {
  readonly report: FleetReport;
  readonly pass: FleetPass;
  readonly specs: ReadonlyMap<string, GroupSpec>;
}

/** Lists and checks the nodes of an open fleet, without changing them. */
export class Observer {
  readonly #name: string;
  readonly #controller: FleetController;
  readonly #signal: AbortSignal;

  /** @throws LktError CONFIG_INVALID for a group that its provider or budget does not allow */
  constructor({ config, providers, engines, openImage, logDir }: OpenFleet, signal: AbortSignal) {
    const options = {
      fleet: config,
      providers,
      engines,
      openImage,
      logDir,
      onEvent: () => undefined,
    };
    this.#name = config.name;
    this.#controller = new FleetController(options);
    this.#signal = signal;
  }

  /** @param options `hasImages`: also looks for images that nothing uses */
  async observe(options: { readonly hasImages?: boolean } = {}): Promise<ObservedFleet> {
    const pass = await this.#controller.observe(this.#signal, options);
    const { specs } = this.#controller;
    return { report: fleetReport(this.#name, specs, pass, Date.now()), pass, specs };
  }

  /** Lets an engine return a group to its earlier image; undefined if it has no such image. */
  async rollBackEngine(group: string, generation: number): Promise<Digest | undefined> {
    return this.#controller.rollBackEngine(group, { generation, signal: this.#signal });
  }
}
