import { request } from 'node:http';
import type { GroupConfig } from '../config/fleet-yml.ts';
import { endpointOf, type Node } from '../node.ts';
import { runProgram, variablesOf } from '../program.ts';

type DrainSettings = NonNullable<GroupConfig['drain']>;

/**
 * Drains nodes of their clients. A new controller restarts the drains of all draining nodes, so
 * both kinds of drains must be idempotent.
 */
export class Drains {
  readonly #running = new Map<string, AbortController>();
  readonly #done = new Set<string>();

  /** Ids of drained nodes. */
  get done(): ReadonlySet<string> {
    return this.#done;
  }

  /** Begins the drain of a node, unless it runs or is done. */
  begin(node: Node, settings: DrainSettings, fail: (error: Error) => void): void {
    const { id } = node;
    if (this.#running.has(id) || this.#done.has(id)) return;
    const stop = new AbortController();
    this.#running.set(id, stop);
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(settings.timeout)]);
    drainNode(node, settings, signal)
      .then(
        () => this.#done.add(id),
        (error: unknown) => {
          if (!signal.aborted) fail(error instanceof Error ? error : new Error(String(error)));
        },
      )
      .finally(() => this.#running.delete(id));
  }

  /** Ends the drains of all nodes but these. */
  keep(ids: ReadonlySet<string>): void {
    for (const [id, stop] of this.#running) if (!ids.has(id)) stop.abort();
    for (const id of this.#done) if (!ids.has(id)) this.#done.delete(id);
  }
}

/**
 * Drains a node of its clients.
 * @throws Error if the page or the program fails
 */
export async function drainNode(
  node: Node,
  settings: DrainSettings,
  signal: AbortSignal,
): Promise<void> {
  const { http, command } = settings;
  if (http !== undefined) await post(node, http, signal);
  else await runProgram(command ?? [], variablesOf(node), '', signal);
}

async function post(
  node: Node,
  { port, path }: { readonly port: number; readonly path: string },
  signal: AbortSignal,
): Promise<void> {
  const endpoint = endpointOf(node, port);
  if (endpoint === undefined) throw new Error(`port ${port} of ${node.name} is not reachable`);
  await new Promise<void>((resolve, reject) => {
    const { host, port: reached } = endpoint;
    const options = { host, port: reached, path, method: 'POST', agent: false, signal };
    const sent = request(options, (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      if (statusCode >= 200 && statusCode < 400) resolve();
      else reject(new Error(`${node.name} answers a drain with status ${statusCode}`));
    });
    sent.once('error', reject).end();
  });
}
