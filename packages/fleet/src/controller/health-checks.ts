import { request } from 'node:http';
import { connect } from 'node:net';
import { mapConcurrent } from '@lkt/core';
import type { HealthCheck, HealthSettings } from '../config/health.ts';
import { type Endpoint, endpointOf, type Node } from '../node.ts';
import type { Provider } from '../provider.ts';
import type { ObservedHealth } from '../reconcile/decision.ts';

/** A check of a port waits for half a second, so 10,000 nodes take ten. */
const CHECKS_AT_ONCE = 512;

interface KnownHealth extends ObservedHealth {
  readonly failures: number;
  /** When it was last checked. */
  checked: number;
}

/** Checks nodes, and remembers since when each is as it is. */
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
        const isHealthy = await checkNode(node, provider, settings, signal);
        this.#note(node.id, isHealthy, settings, now);
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
    isHealthy: boolean,
    { failures: most }: HealthSettings,
    now: () => number,
  ): void {
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
    this.#known.set(id, { health, since, failures, checked: time });
  }

  /** Forgets all nodes but these. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }
}

async function checkNode(
  node: Node,
  provider: Provider,
  { check, timeoutMs }: HealthSettings,
  signal: AbortSignal,
): Promise<boolean> {
  if (check.kind === 'console') return isHealthyByConsole(node, provider, check, signal);
  const endpoint = endpointOf(node, check.port);
  if (endpoint === undefined) return false;
  if (check.kind === 'http') return answers(endpoint, check.path, timeoutMs);
  const hasBooted = await mayAnswer(node, check.port, provider, signal);
  return hasBooted && acceptsConnections(endpoint, timeoutMs);
}

/**
 * Reports what the console says last. Providers return only the end of a long one, so a node that
 * was ready has written the text, even if it is no longer there.
 */
async function isHealthyByConsole(
  node: Node,
  provider: Provider,
  { text, unhealthy }: Extract<HealthCheck, { readonly kind: 'console' }>,
  signal: AbortSignal,
): Promise<boolean> {
  const wasReady = node.labels.ready !== undefined;
  if (wasReady && unhealthy === undefined) return true;
  const bytes = Buffer.from((await provider.console?.(node.id, { signal })) ?? []);
  const last = bytes.lastIndexOf(text);
  const failed = unhealthy === undefined ? -1 : bytes.lastIndexOf(unhealthy);
  return failed > last ? false : last >= 0 || wasReady;
}

/**
 * Reports whether a connection can tell anything: QEMU accepts one to a forwarded port, and keeps
 * it, while its guest boots. The console tells then that the guest has.
 */
async function mayAnswer(
  node: Node,
  port: number,
  provider: Provider,
  signal: AbortSignal,
): Promise<boolean> {
  if (node.labels.ready !== undefined || !node.published.has(port)) return true;
  const bytes = await provider.console?.(node.id, { signal });
  return bytes === undefined || BOOT_ENDED.test(Buffer.from(bytes).toString('latin1'));
}

/** The end of a boot, also with failures. */
const BOOT_ENDED = /lkt: boot (?:complete|ended)/;

/**
 * Reports whether a port accepts a connection and keeps it: a forwarded port accepts one even if
 * nothing listens in the guest, and closes it at once.
 */
async function acceptsConnections(endpoint: Endpoint, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(endpoint);
    const end = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(timeoutMs, () => end(false));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
    socket.once('data', () => end(true));
    socket.once('connect', () => {
      setTimeout(() => end(true), Math.min(STAY_MS, timeoutMs / 2)).unref();
    });
    socket.resume();
  });
}

/** How long a connection has to stay open. */
const STAY_MS = 500;

async function answers(
  { host, port }: Endpoint,
  path: string,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ host, port, path, agent: false, timeout: timeoutMs }, (response) => {
      const { statusCode = 0 } = response;
      response.destroy();
      resolve(statusCode >= 200 && statusCode < 400);
    });
    sent.once('timeout', () => sent.destroy());
    sent.once('error', () => resolve(false));
    sent.once('close', () => resolve(false));
    sent.end();
  });
}
