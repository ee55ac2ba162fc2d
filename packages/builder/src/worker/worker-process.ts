import { type ChildProcess, spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { LktError } from '@lkt/core';
import { MALLOC_ENVIRONMENT, MEMORY_POLICY } from '@lkt/core/memory';
import { programPath } from '@lkt/core/program';
import type { Limits } from '../limits.ts';
import type { BuildEnvironment } from '../variation.ts';
import { linesOf } from './lines.ts';
import { chooseNamespace, namespaceIn } from './namespace.ts';
import { hostEnvironment } from '../system/tools.ts';
import type { WorkerJob, WorkerSetup } from './worker-protocol.ts';

const NODE_FLAGS = ['--no-warnings', `--max-semi-space-size=${MEMORY_POLICY.stream.semiSpaceMib}`];

/** Where a worker builds, and what holds for all that it does. */
export interface WorkerOptions {
  /** Directory of the store. */
  readonly store: string;
  /** As in `BuildRequest`. */
  readonly limits?: Limits | undefined;
  readonly executor?: string | undefined;
  readonly environment?: BuildEnvironment | undefined;
  /** Whether it waits for another job after one that it has done. */
  readonly stays?: boolean | undefined;
}

/**
 * A process that builds in namespaces of its own. It takes a while to start, so whoever knows that something will have
 * to be built starts it before it is known what. It does one job, if it is not to stay, and ends with this process in any
 * case.
 */
export class WorkerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly uid: number;
  readonly stays: boolean;
  readonly #setup: WorkerSetup;
  /** How it ended: its exit status, or the signal that ended it. */
  readonly status: Promise<string>;
  #isTaken = false;
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
    // Whoever waits for it is told; it may fail before anybody does.
    this.status.catch(() => undefined);
  }

  /** @throws LktError HOST_UNSUPPORTED */
  static start(options: WorkerOptions): WorkerProcess {
    const setup = setupFor(options);
    const uid = processUid();
    const { environment } = options;
    const { argv } =
      environment === undefined ? chooseNamespace(uid) : namespaceIn(environment, uid);
    const script = programPath(new URL('worker.ts', import.meta.url));
    const [program = '', ...flags] = argv;
    // In a process group of its own, so that Ctrl-C reaches this process alone, which then stops the worker in order.
    const child = spawn(program, [...flags, '--', process.execPath, ...NODE_FLAGS, script], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      env: { ...hostEnvironment(setup.store), ...MALLOC_ENVIRONMENT.worker, ...environment?.env },
      cwd: '/',
      detached: true,
    });
    const worker = new WorkerProcess(child, setup, uid, options.stays ?? false);
    worker.#input.on('error', () => undefined);
    worker.#input.write(`${JSON.stringify(setup)}\n`);
    return worker;
  }

  /** Whether it was still free and is for this place; then it is taken. */
  take(options: WorkerOptions): boolean {
    const wanted = JSON.stringify(setupFor(options));
    const { exitCode, signalCode } = this.child;
    if (this.#isTaken || exitCode !== null || signalCode !== null) return false;
    this.#isTaken = wanted === JSON.stringify(this.#setup);
    return this.#isTaken;
  }

  /** Gives it a job. */
  begin(job: WorkerJob): void {
    this.#isTaken = true;
    const line = `${JSON.stringify(job)}\n`;
    if (this.stays) this.#input.write(line);
    else this.#input.end(line);
  }

  /** Says that it has done its job, and stays. */
  release(): void {
    this.#isTaken = false;
  }

  /** What it complains of. */
  get complaints(): Readable {
    return this.child.stdio[2] as Readable;
  }

  /** What it says, line by line. */
  get messages(): AsyncIterator<string, undefined> {
    this.#messages ??= linesOf(this.child.stdio[3] as Readable);
    return this.#messages;
  }

  /** Ends it if it has nothing to do. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#input.end();
    this.complaints.resume();
    const drained = (async () => {
      while ((await this.messages.next()).done !== true);
    })();
    drained.catch(() => undefined);
    await this.status.catch(() => undefined);
  }

  get #input(): Writable {
    return this.child.stdio[0] as Writable;
  }
}

function setupFor({
  store,
  limits = {},
  executor = 'init',
  environment,
}: WorkerOptions): WorkerSetup {
  const uid = processUid();
  const namespace =
    environment === undefined ? chooseNamespace(uid) : namespaceIn(environment, uid);
  const { owner, isRoot, hasUsers } = namespace;
  return {
    // At once: Node would start four threads first.
    store: realpathSync.native(store),
    parent: process.pid,
    owner,
    isRoot,
    hasUsers,
    limits,
    executor,
    environment,
  };
}

/** @throws LktError HOST_UNSUPPORTED where the native engine cannot build */
export function processUid(): number {
  const uid = process.geteuid?.();
  if (process.platform !== 'linux' || uid === undefined) {
    throw new LktError('HOST_UNSUPPORTED', 'the native engine builds on Linux only', {
      fix: 'build on Linux',
    });
  }
  return uid;
}
