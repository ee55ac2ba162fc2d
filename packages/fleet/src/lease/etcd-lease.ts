import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { LktError } from '@lkt/core';
import { EtcdClient, type EtcdCondition, type EtcdOptions } from './etcd-client.ts';
import {
  type Lease,
  leaseHeld,
  type LeaseKeeper,
  nextGeneration,
  parseGeneration,
  WAIT_MS,
} from './lease.ts';

/** Options of {@link etcdLease}. */
export interface EtcdLeaseOptions extends EtcdOptions {
  readonly fleet: string;
  /** Seconds without an answer of etcd after which another controller may begin. */
  readonly ttl: number;
}

const CALL_MS = 5000;
const POLL_MS = 1000;
const RETRY_MS = 250;
/** Part of the time to live that is left when the controller stops. */
const MARGIN = 0.25;

/**
 * Returns a lease for the controllers of several machines, kept in etcd: a key that ends with the
 * lease of its controller, and a counter of generations, which one transaction writes together.
 *
 * A controller that etcd does not answer stops a quarter of the time to live before etcd lets
 * another one begin. One that was paused for longer may still have a call on its way: providers
 * reject it by its generation.
 */
export function etcdLease({ fleet, ttl, ...options }: EtcdLeaseOptions): LeaseKeeper {
  const key = `lkt/fleets/${fleet}/controller`;
  const counter = `lkt/fleets/${fleet}/generation`;
  return {
    current: async (signal) => {
      await using client = new EtcdClient(options);
      return parseGeneration(await client.get(counter, { signal, timeoutMs: CALL_MS }));
    },
    hold: async (run, { signal, isStandby = false }) => {
      await using client = new EtcdClient(options);
      const call = { signal, timeoutMs: CALL_MS };
      const end = isStandby ? Infinity : performance.now() + WAIT_MS;
      for (;;) {
        const holder = await client.get(key, call);
        if (holder === undefined) {
          const held = await take(client, { key, counter, ttl, call });
          if (held !== undefined) return use(client, held, run, signal);
        } else if (performance.now() > end) {
          throw leaseHeld(new Error(`etcd has the lease of ${printable(holder)}`));
        }
        await sleep(POLL_MS, undefined, { signal }).catch((error: unknown) => {
          signal.throwIfAborted();
          throw error;
        });
      }
    },
  };
}

/** A lease that was granted. */
interface Held {
  readonly id: string;
  readonly generation: number;
  readonly deadline: Deadline;
}

/** Takes the lease, if no other controller is faster. */
async function take(
  client: EtcdClient,
  {
    key,
    counter,
    ttl,
    call,
  }: {
    readonly key: string;
    readonly counter: string;
    readonly ttl: number;
    readonly call: { readonly signal: AbortSignal; readonly timeoutMs: number };
  },
): Promise<Held | undefined> {
  const last = await client.get(counter, call);
  const sentAt = now();
  const granted = await client.grant(ttl, call);
  const deadline = new Deadline(granted.ttl * 1000 * (1 - MARGIN), sentAt);
  const generation = nextGeneration(parseGeneration(last));
  const since: EtcdCondition =
    last === undefined ? { key: counter, isMissing: true } : { key: counter, value: last };
  const name = `${hostname()}, process ${process.pid}, since ${new Date().toISOString()}`;
  const isTaken = await client.writeIf(
    [{ key, isMissing: true }, since],
    [
      { key, value: name, lease: granted.id },
      { key: counter, value: String(generation) },
    ],
    call,
  );
  if (isTaken) return { id: granted.id, generation, deadline };
  await client.revoke(granted.id, call);
  return undefined;
}

/** Runs with a lease that is kept alive meanwhile, and ends it. */
async function use<T>(
  client: EtcdClient,
  { id, generation, deadline }: Held,
  run: (lease: Lease) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const lost = new AbortController();
  const done = new AbortController();
  const lose = (cause: string): void => {
    lost.abort(leaseLost(cause));
  };
  const held: Lease = {
    generation,
    signal: AbortSignal.any([signal, lost.signal]),
    requireHeld: () => {
      if (deadline.isOver) lose('etcd did not answer for too long');
      lost.signal.throwIfAborted();
    },
  };
  const kept = keep(client, id, deadline, lose, done.signal);
  try {
    return await run(held);
  } finally {
    done.abort();
    await kept;
    // Without it, the lease ends by itself.
    const call = { signal: AbortSignal.timeout(WAIT_MS), timeoutMs: WAIT_MS };
    await client.revoke(id, call).catch(() => undefined);
  }
}

/** Keeps a lease alive until `done`, or until it is lost. */
async function keep(
  client: EtcdClient,
  id: string,
  deadline: Deadline,
  lose: (cause: string) => void,
  done: AbortSignal,
): Promise<void> {
  const watch = setInterval(() => {
    if (deadline.isOver) lose('etcd did not answer for too long');
  }, RETRY_MS);
  let wait = deadline.durationMs / 3;
  try {
    for (;;) {
      await sleep(wait, undefined, { signal: done });
      const sentAt = now();
      try {
        const call = { signal: done, timeoutMs: Math.min(CALL_MS, deadline.durationMs / 2) };
        if (!(await client.keepAlive(id, call))) return lose('etcd ended it');
        deadline.prolong(sentAt);
        wait = deadline.durationMs / 3;
      } catch {
        if (deadline.isOver) return lose('etcd did not answer for too long');
        wait = RETRY_MS;
      }
    }
  } catch (error) {
    if (!done.aborted) throw error;
  } finally {
    clearInterval(watch);
  }
}

/** A time by two clocks: one may stop while the machine sleeps, the other may be set. */
interface Moment {
  readonly monotonic: number;
  readonly clock: number;
}

function now(): Moment {
  return { monotonic: performance.now(), clock: Date.now() };
}

/** The time when a lease may have ended, by whichever of two clocks has advanced farther. */
class Deadline {
  readonly durationMs: number;
  #from: Moment;

  constructor(durationMs: number, from: Moment) {
    this.durationMs = durationMs;
    this.#from = from;
  }

  get isOver(): boolean {
    const { monotonic, clock } = now();
    const passed = Math.max(monotonic - this.#from.monotonic, clock - this.#from.clock);
    return passed >= this.durationMs;
  }

  /**
   * Restarts the period at a time before the response that prolonged the lease, unless it has
   * expired.
   */
  prolong(from: Moment): void {
    if (!this.isOver) this.#from = from;
  }
}

function leaseLost(cause: string): LktError {
  return new LktError(
    'LEASE_LOST',
    'the lease of this fleet is lost, so lkt stops changing nodes',
    {
      cause: new Error(cause),
      fix: 'check etcd, and start the controller again: lkt fleet watch --standby waits for its turn',
    },
  );
}

/** Returns the text that another controller wrote into the lease, for a message. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
