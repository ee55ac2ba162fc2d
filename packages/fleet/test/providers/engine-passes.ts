import type { Digest } from '@lkt/core';
import { parseFleet } from '../../src/config/fleet-yml.ts';
import { FleetController, type FleetPass } from '../../src/controller/controller.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { FleetEvent } from '../../src/events/event.ts';

/** A fleet of which an engine keeps the groups. */
export interface EngineFleet {
  /** fleet.yml, whose provider is `frankfurt`. */
  readonly text: string;
  readonly engine: Engine;
  /** Receives the events. */
  readonly events: FleetEvent[];
  /** File of a raw disk, which each image has. */
  readonly disk?: string;
  readonly now?: () => number;
  /** Returns why an image is not opened. */
  readonly reject?: (digest: Digest) => Error | undefined;
}

/** Returns a controller of the fleet. */
export function engineController({
  text,
  engine,
  events,
  disk: path,
  now,
  reject,
}: EngineFleet): FleetController {
  const disk =
    path === undefined
      ? undefined
      : ({ path, kind: 'disk', format: 'raw', firmware: 'efi' } as const);
  return new FleetController({
    fleet: parseFleet({ path: 'fleet.yml', text }),
    providers: new Map(),
    engines: new Map([['frankfurt', engine]]),
    openImage: async (_, digest) => {
      const reason = reject?.(digest);
      if (reason !== undefined) throw reason;
      return { digest, files: { kernel: '', cmdline: '' }, disk };
    },
    logDir: '/nowhere',
    now,
    onEvent: (event) => events.push(event),
  });
}

/** How to make a pass. */
export interface PassOptions {
  readonly generation?: number;
  /** Roll again where a roll failed. */
  readonly retry?: boolean;
}

/** Makes a pass of a controller. */
export async function passOf(
  controller: FleetController,
  { generation = 1, retry = false }: PassOptions,
): Promise<FleetPass> {
  if (retry) controller.retryEngines();
  const { signal } = new AbortController();
  return controller.pass({ generation, signal });
}

/** Returns the status of the group `web` after a pass. */
export function statusOf({ groups }: FleetPass): unknown {
  return groups.get('web')?.decision.status;
}
