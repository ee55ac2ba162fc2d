import type { FleetEvent } from '@lkt/fleet';
import type { OpenFleet } from '../session/fleet.ts';
import type { Session } from '../session/session.ts';

/** Receives events. Disposal waits until the hooks of fleet.yml have received all of them. */
interface EventSink extends AsyncDisposable {
  readonly onEvent: (event: FleetEvent) => void;
}

/** Writes events as JSON lines, and passes them to the hooks of fleet.yml. */
export async function openEventSink(
  { config, dir }: OpenFleet,
  { environment, signal }: Session,
  write: (line: string) => void,
): Promise<EventSink> {
  const { events: settings } = config;
  const { EventHooks } = await import('@lkt/fleet');
  const fail = (message: string): void => {
    const time = new Date().toISOString();
    write(JSON.stringify({ time, fleet: config.name, kind: 'error', message }));
  };
  const { variables } = environment;
  const hooks = settings && (await EventHooks.open({ settings, dir, variables, signal, fail }));
  return {
    onEvent: (event) => {
      write(JSON.stringify(event));
      hooks?.emit(event);
    },
    [Symbol.asyncDispose]: async () => hooks?.[Symbol.asyncDispose](),
  };
}
