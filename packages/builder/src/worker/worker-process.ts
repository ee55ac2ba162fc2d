import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { LktError } from '@lkt/core';
import { MALLOC_ENVIRONMENT, MEMORY_POLICY } from '@lkt/core/memory';
import { programPath } from '@lkt/core/program';
import { linesOf } from './lines.ts';
import { chooseNamespace } from './namespace.ts';
import { hostEnvironment } from '../system/tools.ts';
import type { WorkerJob, WorkerOptions, WorkerSetup } from './worker-protocol.ts';

const NODE_FLAGS = ['--no-warnings', `--max-semi-space-size=${MEMORY_POLICY.stream.semiSpaceMib}`];

/** Characters of standard error that are kept. */
const MAX_COMPLAINT = 8192;

/**
 * A process that builds in namespaces of its own. Start it early, before the job is known: starting
 * takes a while. It runs one job, unless it stays, and ends with this process in any case.
 */
export class WorkerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly uid: number;
  readonly stays: boolean;
  readonly #setup: WorkerSetup;
  /** Its exit status, or the signal that ended it. */
  readonly status: Promise<string>;
  #isTaken = false;
  #endsWhenFree = false;
  #complaint = '';
  #messages: AsyncIterator<string, undefined> | undefined;

  private constructor(child: ChildProcess, setup: WorkerSetup, uid: number, stays: boolean) {
    this.child = child;
    this.#setup = setup;
    this.uid = uid;
    this.stays = stays;
    this.status = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, by) => resolve(by ?? String(code)));
    });
    // After this event, Node discards a stream without a reader: that of a worker without a job.
    child.once('exit', () => (this.#messages ??= startedLines(this.#output)));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#complaint = (this.#complaint + chunk.toString()).slice(-MAX_COMPLAINT);
    });
    // The caller handles a failure; one before the caller waits must not count as unhandled.
    this.status.catch(() => undefined);
  }

  /** @throws LktError HOST_UNSUPPORTED */
  static start(options: WorkerOptions): WorkerProcess {
    const uid = processUid();
    const { argv, setup } = setupFor(options, uid);
    const script = programPath(new URL('worker.ts', import.meta.url));
    const [program = '', ...flags] = argv;
    // Ctrl-C must not reach its process group: this process stops the worker in order.
    const child = spawn(program, [...flags, '--', process.execPath, ...NODE_FLAGS, script], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      env: {
        ...hostEnvironment(),
        ...MALLOC_ENVIRONMENT.worker,
        ...setup.environment?.env,
      },
      cwd: '/',
      detached: true,
    });
    const worker = new WorkerProcess(child, setup, uid, options.stays ?? false);
    worker.#input.on('error', () => undefined);
    const { expectsRun = true } = options;
    worker.#input.write(`${JSON.stringify({ ...setup, expectsRun })}\n`);
    return worker;
  }

  /** Reports whether it waits for a job. */
  get isFree(): boolean {
    const { exitCode, signalCode } = this.child;
    return !this.#isTaken && exitCode === null && signalCode === null;
  }

  /** Reserves the worker. Returns false if it is in use, has ended, or has other options. */
  take(options: WorkerOptions): boolean {
    const wanted = JSON.stringify(setupFor(options, this.uid).setup);
    if (!this.isFree) return false;
    this.#isTaken = wanted === JSON.stringify(this.#setup);
    return this.#isTaken;
  }

  /** Reserves a worker that has just started. */
  reserve(): void {
    this.#isTaken = true;
  }

  /** Starts a job. */
  begin(job: WorkerJob): void {
    this.reserve();
    const line = `${JSON.stringify(job)}\n`;
    if (this.stays) this.#input.write(line);
    else this.#input.end(line);
  }

  /** Marks the worker, which stays, as free again; ends it if it was disposed meanwhile. */
  release(): void {
    this.#isTaken = false;
    this.#complaint = '';
    if (this.#endsWhenFree) void this[Symbol.asyncDispose]();
  }

  /** The last part of its standard error in this job, or before the first. */
  get complaint(): string {
    return this.#complaint;
  }

  /** Its messages, a line of JSON each. */
  get messages(): AsyncIterator<string, undefined> {
    this.#messages ??= linesOf(this.#output);
    return this.#messages;
  }

  /** Ends the worker, at once or when its job is done. Waits only for a worker without a job. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#endsWhenFree = true;
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#input.end();
    const drained = (async () => {
      while ((await this.messages.next()).done !== true);
    })();
    drained.catch(() => undefined);
    await this.status.catch(() => undefined);
  }

  get #output(): Readable {
    return this.child.stdio[3] as Readable;
  }

  get #input(): Writable {
    return this.child.stdio[0] as Writable;
  }
}

/** Returns the lines of a stream, and begins to read it at once. */
function startedLines(stream: Readable): AsyncIterator<string, undefined> {
  const lines = linesOf(stream);
  const first = lines.next();
  let isFirst = true;
  return {
    next: async () => {
      if (!isFirst) return lines.next();
      isFirst = false;
      return first;
    },
  };
}

function setupFor(
  { store, key, limits = {}, executor = 'init', environment }: WorkerOptions,
  uid: number,
): { readonly argv: readonly string[]; readonly setup: WorkerSetup } {
  const { argv, ...namespace } = chooseNamespace(uid, environment);
  // Synchronous, because Node would first start four threads.
  const real = realpathSync.native(store);
  const parent = process.pid;
  const setup = { ...namespace, store: real, key, parent, limits, executor, environment };
  return { argv, setup };
}

/**
 * Returns the effective user id.
 * @throws LktError HOST_UNSUPPORTED on another system than Linux
 */
export function processUid(): number {
  const uid = process.geteuid?.();
  if (process.platform !== 'linux' || uid === undefined) {
    throw new LktError('HOST_UNSUPPORTED', 'the native engine builds on Linux only', {
      fix: 'build on Linux',
    });
  }
  return uid;
}
