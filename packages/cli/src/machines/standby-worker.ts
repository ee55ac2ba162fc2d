import type { WorkerProcess } from '@lkt/builder/worker';
import type { BuilderFlags } from '../flags/package.ts';
import { startWorker } from '../session/build-tools.ts';
import type { Session } from '../session/session.ts';

/** A process that waits for the next build on this machine, which then need not start one. */
export class StandbyWorker implements AsyncDisposable {
  readonly #session: Session;
  readonly #flags: BuilderFlags;
  #worker: WorkerProcess | undefined;

  constructor(session: Session, flags: BuilderFlags) {
    this.#session = session;
    this.#flags = flags;
  }

  /** The process; it may have been used, which ends it. */
  get worker(): WorkerProcess | undefined {
    return this.#worker;
  }

  /** Starts a process unless one is waiting. The native engine needs Linux. */
  async prepare(): Promise<void> {
    if (this.#worker?.isFree === true || process.platform !== 'linux') return;
    this.#worker = await startWorker(this.#session, this.#flags, {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.[Symbol.asyncDispose]();
  }
}
