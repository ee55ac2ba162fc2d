import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { LktError } from '@lkt/core';
import type { MachineCheck, MachineTest } from '@lkt/image';
import type { MachineOptions, MachineResult, PublishedPort, StartedMachine } from '@lkt/machine';
import type { Session } from '../session/session.ts';
import { ConsolePatterns } from './console-patterns.ts';
import { checkHttp, checkTcp } from './network-checks.ts';
import { runRecorded } from './recorded-run.ts';
import { TestAgent } from './test-agent.ts';

/** The result of a check. */
export interface CheckResult {
  readonly name: string;
  readonly kind: 'boot' | MachineCheck['kind'];
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  /** Why it failed or was skipped. */
  readonly reason?: string;
}

/** The results of all checks of an image, the boot first. */
export interface MachineTestRun {
  readonly checks: readonly CheckResult[];
  readonly seconds: number;
  /** Last lines of the console. */
  readonly console: readonly string[];
}

export interface MachineTestOptions {
  readonly name: string;
  readonly services: readonly string[];
  readonly machine: Omit<
    MachineOptions,
    'console' | 'expect' | 'interactive' | 'onPort' | 'publish' | 'signal'
  >;
  readonly tests: readonly MachineTest[];
  /** Lines of the console that end the boot, in any order. */
  readonly ready: readonly RegExp[];
  /** Time limit of the boot in milliseconds. */
  readonly bootMs: number;
  readonly onResult: (result: CheckResult) => void;
}

const RETRY_MS = 500;
/** PID 1's last line after a boot with failures (docs/guest.md). */
const FAILURES = /^lkt: boot ended with \d+ failures/u;

/** Boots an image, runs its checks in order, and ends the machine. */
export async function testMachine(
  session: Session,
  options: MachineTestOptions,
): Promise<MachineTestRun> {
  const begin = performance.now();
  await using machine = new TestedMachine(session, options);
  const checks: CheckResult[] = [];
  const add = (result: CheckResult): void => {
    checks.push(result);
    options.onResult(result);
  };
  add(await machine.boot());
  for (const test of options.tests) add(await machine.run(test, checks[0]?.outcome === 'passed'));
  return { checks, seconds: secondsSince(begin), console: machine.tail };
}

class TestedMachine implements AsyncDisposable {
  readonly #session: Session;
  readonly #options: MachineTestOptions;
  readonly #stop = new AbortController();
  readonly #button = new AbortController();
  readonly #patterns: ConsolePatterns;
  readonly #decoder = new TextDecoder();
  /** Id of the step of the running check, whose log is the console. */
  #step: string | undefined;
  readonly #agent = Promise.withResolvers<TestAgent>();
  readonly #started = Promise.withResolvers<StartedMachine>();
  /** Resolves when the machine has ended. */
  readonly #end: Promise<MachineResult | Error>;

  constructor(session: Session, options: MachineTestOptions) {
    this.#session = session;
    this.#options = options;
    const logs = options.tests.flatMap(({ check }) =>
      check.kind === 'log' ? [check.matches] : [],
    );
    this.#patterns = new ConsolePatterns([...options.ready, FAILURES, ...logs]);
    this.#end = this.#run();
  }

  get tail(): readonly string[] {
    return this.#patterns.tail;
  }

  async boot(): Promise<CheckResult> {
    const { ready, bootMs } = this.#options;
    return this.#timed({ name: 'boots', kind: 'boot' }, bootMs, async () => {
      const complete = Promise.all(ready.map(async (pattern) => this.#patterns.match(pattern)));
      const line = await Promise.race([
        complete.then(() => undefined),
        this.#patterns.match(FAILURES),
      ]);
      return line?.replace(/ \d+\.\d+$/, '');
    });
  }

  async run({ name, timeout, check }: MachineTest, hasBooted: boolean): Promise<CheckResult> {
    const { kind } = check;
    if (!hasBooted)
      return { name, kind, outcome: 'skipped', seconds: 0, reason: 'the boot failed' };
    return this.#timed({ name, kind }, timeout * 1000, async (signal) =>
      this.#check(check, timeout, signal),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new LktError('INTERRUPTED', 'the test has ended'));
    await this.#end;
  }

  async #check(
    check: MachineCheck,
    timeout: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    switch (check.kind) {
      case 'log':
        await this.#patterns.match(check.matches);
        return undefined;
      case 'poweroff': {
        this.#button.abort();
        const how = howEnded(await this.#end);
        return how === 'powered-off' ? undefined : how;
      }
      case 'tcp':
        return this.#onPort(check.port, signal, async (port) => checkTcp(port, check, signal));
      case 'exec': {
        const agent = await this.#agent.promise;
        const run = async (): Promise<string | undefined> => agent.check(check, timeout, signal);
        return retried(signal, run, 'the command does not end');
      }
      case 'http':
      default:
        return this.#onPort(check.port, signal, async (port) => checkHttp(port, check, signal));
    }
  }

  /** Repeats an attempt at a forwarded port. */
  async #onPort(
    guestPort: number,
    signal: AbortSignal,
    attempt: (port: PublishedPort) => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const { publish } = await this.#started.promise;
    const port = publish.find((one) => one.guestPort === guestPort);
    if (port === undefined) throw new Error(`port ${guestPort} is not forwarded`);
    return retried(signal, async () => attempt(port), 'the server does not answer');
  }

  /** Runs a check as a step of the progress display, with the console as its output. */
  async #timed(
    what: Pick<CheckResult, 'name' | 'kind'>,
    limitMs: number,
    act: (signal: AbortSignal) => Promise<string | undefined>,
  ): Promise<CheckResult> {
    const { reporter } = this.#session;
    const id = `check ${what.name}`;
    reporter.emit({ kind: 'start', id, title: what.name, quiet: true });
    this.#step = id;
    let result: CheckResult | undefined;
    try {
      result = await this.#limited(what, limitMs, act);
      return result;
    } finally {
      this.#step = undefined;
      if (result?.outcome === 'passed') reporter.emit({ kind: 'done', id, cached: false });
      else reporter.emit({ kind: 'failed', id, ...(result === undefined && { stopped: true }) });
    }
  }

  /**
   * Runs a check within its time limit, and until the machine ends.
   * @param act returns why the check failed
   */
  async #limited(
    what: Pick<CheckResult, 'name' | 'kind'>,
    limitMs: number,
    act: (signal: AbortSignal) => Promise<string | undefined>,
  ): Promise<CheckResult> {
    const begin = performance.now();
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), limitMs);
    const late = new Promise<string>((resolve) => {
      limit.signal.addEventListener('abort', () => resolve(`not within ${limitMs / 1000} s`));
    });
    try {
      const acting = act(limit.signal);
      const end = this.#endReason(what.kind);
      const first = await Promise.race([acting, end, late]);
      // The error of the interrupted attempt explains more.
      const isLate = limit.signal.aborted && ['exec', 'http', 'tcp'].includes(what.kind);
      const reason = isLate ? `${(await acting) ?? first}, ${first}` : first;
      this.#session.signal.throwIfAborted();
      const seconds = secondsSince(begin);
      return reason === undefined
        ? { ...what, outcome: 'passed', seconds }
        : { ...what, outcome: 'failed', seconds, reason };
    } finally {
      clearTimeout(timer);
      limit.abort();
    }
  }

  /** Resolves to how the machine ended; never, if that is what the check waits for. */
  async #endReason(kind: CheckResult['kind']): Promise<string> {
    if (kind === 'poweroff') return new Promise(() => undefined);
    const how = howEnded(await this.#end);
    return how.includes(' ') ? how : `the machine has ended: ${how}`;
  }

  async #run(): Promise<MachineResult | Error> {
    const { machine, name, services } = this.#options;
    try {
      return await runRecorded(
        this.#session,
        { name, services },
        {
          ...machine,
          publish: this.#ports(),
          console: new Writable({ write: (_chunk, _encoding, done) => done() }),
          signal: AbortSignal.any([this.#session.signal, this.#stop.signal]),
          powerButton: this.#button.signal,
          ...(this.#options.tests.some(isExec) && {
            onPort: (port) => this.#agent.resolve(new TestAgent(port)),
          }),
          onStart: (started) => this.#started.resolve(started),
          onOutput: (chunk) => {
            machine.onOutput?.(chunk);
            this.#patterns.push(chunk);
            const text = this.#decoder.decode(chunk, { stream: true });
            if (this.#step !== undefined)
              this.#session.reporter.emit({ kind: 'log', id: this.#step, text });
          },
        },
      );
    } catch (error) {
      return error as Error;
    }
  }

  #ports(): readonly PublishedPort[] {
    const ports = this.#options.tests.flatMap(({ check }) => ('port' in check ? [check.port] : []));
    return [...new Set(ports)].map((guestPort) => ({
      address: '127.0.0.1',
      hostPort: 0,
      guestPort,
      protocol: 'tcp',
    }));
  }
}

/** Reports whether a test needs the agent in the machine. */
export function isExec({ check }: MachineTest): boolean {
  return check.kind === 'exec';
}

/**
 * Repeats an attempt until it has no problem, or the signal aborts.
 * @param silence the problem if no attempt ends
 */
async function retried(
  signal: AbortSignal,
  attempt: () => Promise<string | undefined>,
  silence: string,
): Promise<string | undefined> {
  let problem: string | undefined;
  while (!signal.aborted) {
    const found = await attempt();
    if (found === undefined) return undefined;
    // An attempt that the time limit ended says nothing about the machine.
    if (!signal.aborted) problem = found;
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
  return problem ?? silence;
}

/**
 * Returns how a machine ended.
 * @throws what is no fault of the image, such as a missing QEMU
 */
function howEnded(end: MachineResult | Error): string {
  if (!(end instanceof Error)) return end.end;
  if (end instanceof LktError && end.code === 'RUN_FAILED') return end.message;
  throw end;
}

function secondsSince(begin: number): number {
  return Math.round((performance.now() - begin) / 100) / 10;
}
