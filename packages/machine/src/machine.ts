import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { isErrno, LktError } from '@lkt/core';
import { type Accelerator, type AcceleratorName, probeAccelerator } from './accelerator.ts';
import { isReadable } from './boot-files.ts';
import { ConsoleWatch } from './console-watch.ts';
import { ensureDisk } from './disk.ts';
import { type EfiFirmware, prepareEfi } from './efi-firmware.ts';
import { resolveHostPort, portInUse, type PublishedPort } from './published-port.ts';
import { type Hardware, PORT_FD, QMP_FD, qemuArguments } from './qemu.ts';
import { openQmp, type Qmp } from './qmp.ts';
import { TimelineReporter } from './timeline-reporter.ts';
import type { Timeline } from './timeline.ts';
import { toolMissing } from './tool.ts';

/** Options of `runMachine`. Default: 1024 MiB of memory, one processor, and a network card. */
export interface MachineOptions extends Partial<Omit<Hardware, 'files'>> {
  readonly files: Hardware['files'];
  /** Memory in MiB that the image needs to boot. A smaller `memory` is an error. */
  readonly minimumMemory?: number;
  /** Receives the guest's console output. Not ended. */
  readonly console: Writable;
  /**
   * Connects standard input to the guest's console. A terminal is in raw mode until the machine
   * ends.
   */
  readonly interactive?: boolean;
  /** End the machine successfully when all of these were on the console. */
  readonly expect?: readonly string[];
  /**
   * Called once with the {@link Timeline}, when the boot is complete or the machine ends before.
   */
  readonly onTimeline?: (timeline: Timeline) => void;
  readonly timeoutMs?: number;
  readonly accelerator?: 'auto' | AcceleratorName;
  /** File that caches whether KVM works. */
  readonly acceleratorCache?: string;
  /** QEMU program; default: `qemu-system-x86_64`. */
  readonly qemu?: string;
  readonly onStart?: (started: StartedMachine) => void | Promise<void>;
  /** Receives the guest's console output, before `console` does. */
  readonly onOutput?: (chunk: Uint8Array) => void;
  /** Gives the machine a second serial port, and receives its other end. */
  readonly onPort?: (port: Duplex) => void;
  /** Presses the power button when it aborts. */
  readonly powerButton?: AbortSignal;
  readonly signal?: AbortSignal;
}

/** A machine about to run. */
export interface StartedMachine {
  readonly accelerator: Accelerator;
  /** With the actual host ports. */
  readonly publish: readonly PublishedPort[];
}

/** The end of a machine that did not fail. */
export interface MachineResult {
  /**
   * `expected`: all of `expect` was seen. `stopped`: by QEMU's monitor. The others are the guest's
   * doing.
   */
  readonly end: 'expected' | 'powered-off' | 'restarted' | 'stopped';
  readonly accelerator: AcceleratorName;
  readonly seconds: number;
}

/**
 * Boots an image and waits for the end of the machine. Leaves no process behind, even if this one
 * is killed.
 *
 * @throws RUN_FAILED if the guest panics, ends before all of `expect` was seen, or exceeds
 * `timeoutMs`; if QEMU fails; if memory is too small or a port is in use. TOOL_MISSING without QEMU
 * or its EFI firmware. HOST_UNSUPPORTED if KVM was requested but does not work. INTERRUPTED on the
 * signal. The errors of `ensureDisk`.
 * @example
 * ```ts
 * const files = await findBootFiles('out/sshd');
 * const publish = [parsePublishedPort('2222:22')];
 * const { stdout } = process;
 * await runMachine({ files, publish, expect: ['sshd is up'], console: stdout });
 * ```
 */
export async function runMachine(options: MachineOptions): Promise<MachineResult> {
  const { files, memory = 1024, cpus = 1, disks = [], network = true } = options;
  requireMemory(memory, options.minimumMemory ?? 0);
  options.signal?.throwIfAborted();
  const qemu = options.qemu ?? 'qemu-system-x86_64';
  await requireQemu(qemu);
  const accelerator = await chooseAccelerator(qemu, options);
  const publish: PublishedPort[] = [];
  for (const port of options.publish ?? []) publish.push(await resolveHostPort(port));
  for (const disk of disks) await ensureDisk(disk);
  await using efi = await efiOf(files);
  await options.onStart?.({ accelerator, publish });
  const hardware = { files, memory, cpus, publish, disks, network };
  const hasPort = options.onPort !== undefined;
  const args = qemuArguments({
    ...hardware,
    efi: efi.firmware,
    accelerator: accelerator.name,
    hasPort,
  });
  const started = performance.now();
  const reporter = options.onTimeline && new TimelineReporter(started, options.onTimeline);
  const child = await start(qemu, args, options.interactive ?? false, hasPort);
  if (hasPort) options.onPort?.(child.stdio[PORT_FD] as Duplex);
  const outcome = await supervise(child, options, reporter);
  const seconds = (performance.now() - started) / 1000;
  return { end: resultOf(outcome, options, publish), accelerator: accelerator.name, seconds };
}

/** Prepares the firmware that a medium needs; disposing removes it. */
async function efiOf(
  files: MachineOptions['files'],
): Promise<AsyncDisposable & { readonly firmware?: EfiFirmware }> {
  await using stack = new AsyncDisposableStack();
  if (!('kind' in files) || files.firmware === 'bios') return stack.move();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-efi-')));
  const firmware = await prepareEfi(dir.path);
  const kept = stack.move();
  return { firmware, [Symbol.asyncDispose]: async () => kept.disposeAsync() };
}

function requireMemory(memory: number, minimum: number): void {
  if (memory >= minimum) return;
  throw new LktError(
    'RUN_FAILED',
    `the image needs ${minimum} MiB of memory to boot, but the machine has ${memory} MiB`,
    { fix: `add --mem ${minimum}` },
  );
}

/**
 * Requires the QEMU program.
 * @throws TOOL_MISSING
 */
export async function requireQemu(qemu: string): Promise<void> {
  const child = spawn(qemu, ['--version'], { stdio: 'ignore' });
  await new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')
          ? toolMissing(qemu, 'qemu-system-x86')
          : error,
      ),
    );
    child.once('close', resolve);
  });
}

/**
 * Returns the accelerator for a machine.
 * @throws HOST_UNSUPPORTED if KVM was requested but does not work
 */
export async function chooseAccelerator(
  qemu: string,
  options: Pick<MachineOptions, 'accelerator' | 'acceleratorCache'>,
): Promise<Accelerator> {
  if (options.accelerator === 'tcg') return { name: 'tcg' };
  const { acceleratorCache: cacheFile } = options;
  const found = await probeAccelerator({ qemu, cacheFile });
  if (options.accelerator === 'kvm' && found.name !== 'kvm') {
    throw new LktError('HOST_UNSUPPORTED', `KVM does not work here: ${found.reason ?? ''}`, {
      fix: 'leave out --accel to fall back to software translation',
    });
  }
  return found;
}

/**
 * Starts QEMU, under `setpriv` (util-linux) if possible: the kernel then kills it when this process
 * dies.
 */
async function start(
  qemu: string,
  args: readonly string[],
  interactive: boolean,
  hasPort: boolean,
): Promise<ChildProcess> {
  const guard = '/usr/bin/setpriv';
  const isGuarded = await isReadable(guard);
  const [program, ...rest] = isGuarded ? [guard, '--pdeathsig=KILL', '--', qemu] : [qemu];
  return spawn(program ?? qemu, [...rest, ...args], {
    stdio: [
      interactive ? 'inherit' : 'ignore',
      'pipe',
      'pipe',
      'pipe',
      ...(hasPort ? (['pipe'] as const) : []),
    ],
  });
}

/** The reason why lkt ended the machine. */
type StopReason = 'expected' | 'panic' | 'timeout' | 'interrupted';

interface Outcome {
  readonly stop: StopReason | undefined;
  /** QEMU's shutdown reason; undefined if QEMU failed. */
  readonly shutdown: string | undefined;
  readonly exitCode: number | null;
  readonly errors: string;
  readonly watch: ConsoleWatch;
}

/** Supervises QEMU until it exits. */
async function supervise(
  child: ChildProcess,
  options: MachineOptions,
  reporter: TimelineReporter | undefined,
): Promise<Outcome> {
  const watch = new ConsoleWatch(options.expect ?? []);
  let stop: StopReason | undefined;
  let shutdown: string | undefined;
  let errors = '';
  const timers: NodeJS.Timeout[] = [];
  const later = (milliseconds: number, act: () => void): void => {
    timers.push(setTimeout(act, milliseconds));
  };
  const qmp: Qmp = openQmp(child.stdio[QMP_FD] as Duplex, {
    shutdown: (reason) => {
      shutdown ??= reason;
    },
  });
  const end = (why: StopReason): void => {
    if (stop !== undefined) return;
    stop = why;
    qmp.quit();
    later(STOP_GRACE_MS, () => child.kill('SIGKILL'));
  };
  const interrupted = (): void => end('interrupted');
  options.signal?.addEventListener('abort', interrupted);
  // An earlier abort fires no event.
  if (options.signal?.aborted === true) interrupted();
  const pressed = (): void => qmp.powerDown();
  options.powerButton?.addEventListener('abort', pressed);
  if (options.timeoutMs !== undefined) later(options.timeoutMs, () => end('timeout'));
  child.stderr?.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4096);
  });
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const pumped = pump(child.stdout as Readable, options.console, (chunk) => {
    watch.push(chunk);
    reporter?.push(chunk);
    options.onOutput?.(chunk);
    if (options.expect !== undefined && options.expect.length > 0 && watch.missing.length === 0)
      // The expected text may be in the line that ends the boot: wait for its end.
      if (reporter?.isOpen === true) later(LINE_GRACE_MS, () => end('expected'));
      else end('expected');
    // The reason and the trace follow the first line of a panic.
    else if (watch.panicked) later(PANIC_GRACE_MS, () => end('panic'));
  });
  try {
    const [exitCode] = await Promise.all([closed, pumped]);
    return { stop, shutdown, exitCode, errors: errors.trim(), watch };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    reporter?.stop();
    options.signal?.removeEventListener('abort', interrupted);
    options.powerButton?.removeEventListener('abort', pressed);
    child.kill('SIGKILL');
  }
}

const STOP_GRACE_MS = 2000;
const PANIC_GRACE_MS = 500;
const LINE_GRACE_MS = 1000;

/** Copies the input with backpressure. Continues to read if the output is closed. */
async function pump(
  input: Readable,
  output: Writable,
  see: (chunk: Buffer) => void,
): Promise<void> {
  for await (const chunk of input) {
    see(chunk as Buffer);
    if (output.destroyed || output.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        output.off('drain', go).off('close', go).off('error', go);
        resolve();
      };
      output.on('drain', go).on('close', go).on('error', go);
    });
  }
}

function resultOf(
  outcome: Outcome,
  options: MachineOptions,
  publish: readonly PublishedPort[],
): MachineResult['end'] {
  const { stop, shutdown, watch } = outcome;
  if (stop === 'expected') return 'expected';
  if (stop === 'interrupted') throw new LktError('INTERRUPTED', 'the machine was stopped');
  const lines = watch.lastLines(20);
  const missing = watch.missing.map((text) => JSON.stringify(text)).join(', ');
  if (watch.panicked || shutdown === 'guest-panic')
    throw failure('the kernel of the machine panicked', lines);
  if (stop === 'timeout') {
    const what = missing === '' ? 'the machine did not end' : `the console did not show ${missing}`;
    throw failure(`${what} within ${(options.timeoutMs ?? 0) / 1000} s`, lines);
  }
  if (shutdown === undefined) throw qemuFailed(outcome, publish);
  if (missing !== '')
    throw failure(`the machine ended before the console showed ${missing}`, lines);
  if (shutdown === 'guest-shutdown') return 'powered-off';
  if (shutdown === 'guest-reset') return 'restarted';
  return 'stopped';
}

/** Returns the error of a run, with the last lines of the console or of QEMU. */
function failure(message: string, lines: readonly string[]): LktError {
  const detail = lines.map((line) => `  | ${line}`).join('\n');
  return new LktError('RUN_FAILED', message, { detail: detail === '' ? undefined : detail });
}

function qemuFailed(outcome: Outcome, publish: readonly PublishedPort[]): LktError {
  const rule = /Could not set up host forwarding rule '(?:tcp|udp):([^-]+)-/.exec(outcome.errors);
  const taken = publish.find(({ address, hostPort }) => rule?.[1] === `${address}:${hostPort}`);
  if (taken !== undefined) return portInUse(`${taken.address}:${taken.hostPort}`, taken);
  if (outcome.errors.includes('cannot set up guest memory')) {
    return new LktError('HOST_UNSUPPORTED', 'the host has too little memory for the guest', {
      fix: 'use a smaller value, such as --mem 512',
    });
  }
  const how = outcome.exitCode === null ? 'was killed' : `ended with status ${outcome.exitCode}`;
  return failure(`QEMU ${how}`, outcome.errors === '' ? [] : outcome.errors.split('\n'));
}
