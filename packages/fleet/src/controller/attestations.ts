import { Semaphore } from '@lkt/core';
import type { AttestSettings } from '../config/attest.ts';
import type { Attestation, Node } from '../node.ts';
import { ProgramFailure, runProgram, variablesOf } from '../program.ts';

/** Exit status for a node that does not run its image. */
const REJECTED = 1;

/** Delay before a failed program runs again. */
const RETRY_MS = 10_000;

/** Maximum number of concurrent programs of a group. */
const PROGRAMS_AT_ONCE = 16;

interface Attested {
  readonly result: Attestation | undefined;
  /** Why the program failed last; undefined if it did not. */
  readonly failure: string | undefined;
  /** By the controller's clock. */
  readonly at: number;
}

/** Results of the program that attests nodes, in memory: a new controller runs it again. */
export class Attestations {
  readonly #known = new Map<string, Attested>();
  readonly #slots = new Semaphore(PROGRAMS_AT_ONCE);
  readonly #running = new Map<
    string,
    { readonly stop: AbortController; readonly end: Promise<void> }
  >();

  /** Returns the result for a node; undefined before the first, and while the program fails. */
  of(id: string): Attestation | undefined {
    return this.#known.get(id)?.result;
  }

  /** Starts the program for nodes without a result, or with an old one. */
  begin(
    nodes: readonly Node[],
    settings: AttestSettings,
    now: () => number,
    fail: (node: Node, message: string) => void,
  ): void {
    for (const node of nodes) {
      const known = this.#known.get(node.id);
      const passed = now() - (known?.at ?? -Infinity);
      const wait = known?.failure === undefined ? settings.interval : RETRY_MS;
      const isDue = passed >= wait || passed < 0;
      if (!isDue || this.#running.has(node.id)) continue;
      const stop = new AbortController();
      const end = this.#attest(node, settings, stop.signal, now, fail);
      this.#running.set(node.id, { stop, end });
      void end.finally(() => this.#running.delete(node.id));
    }
  }

  /** Waits until no program runs. */
  async settled(): Promise<void> {
    await Promise.all([...this.#running.values()].map(async ({ end }) => end));
  }

  /** Forgets all nodes but these, and ends their programs. */
  keep(ids: ReadonlySet<string>): void {
    for (const [id, { stop }] of this.#running) if (!ids.has(id)) stop.abort();
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
  }

  async #attest(
    node: Node,
    { command, timeout }: AttestSettings,
    stopped: AbortSignal,
    now: () => number,
    fail: (node: Node, message: string) => void,
  ): Promise<void> {
    const before = this.#known.get(node.id);
    let failure: string | undefined;
    const run = async (): Promise<void> => {
      const signal = AbortSignal.any([stopped, AbortSignal.timeout(timeout)]);
      await runProgram(command, variablesOf(node), '', signal);
    };
    const result = await this.#slots.run(run).then(
      (): Attestation => 'verified',
      (error: unknown): Attestation | undefined => {
        if (error instanceof ProgramFailure && error.status === REJECTED) return 'rejected';
        // A failed program proves nothing, so the node keeps its earlier result.
        failure = error instanceof Error ? error.message : String(error);
        return before?.result;
      },
    );
    if (stopped.aborted) return;
    if (failure !== undefined && failure !== before?.failure) fail(node, failure);
    this.#known.set(node.id, { result, failure, at: now() });
  }
}
