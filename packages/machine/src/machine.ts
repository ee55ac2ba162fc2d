import { type ChildProcess, spawn } from 'node:child_process';
import { access, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { isErrno, LktError } from '@lkt/core';
import { type Accelerator, type AcceleratorName, probeAccelerator } from './accelerator.ts';
import type { BootFiles } from './boot-files.ts';
import type { BootMedium } from './boot-medium.ts';
import { ConsoleWatch } from './console.ts';
import { type Disk, ensureDisk } from './disk.ts';
import { type EfiFirmware, prepareEfi } from './efi-firmware.ts';
import { claimPort, portInUse, type Publication } from './publish.ts';
import { QMP_FD, qemuArguments } from './qemu.ts';
import { openQmp, type Qmp } from './qmp.ts';
import { Recording } from './recording.ts';
import type { Timeline } from './timeline.ts';
import { toolMissing } from './tool.ts';

export interface MachineOptions {
  readonly files: BootFiles | BootMedium;
  /** In MiB; 1024 if not given. */
  readonly memory?: number;
  /** What the image needs to boot, in MiB. Less is refused before the boot. */
  readonly minimumMemory?: number;
  readonly cpus?: number;
  readonly publish?: readonly Publication[];
  readonly disks?: readonly (Disk & { readonly path: string })[];
  readonly network?: boolean;
  /** Takes everything the guest writes to its console. Not ended. */
  readonly console: Writable;
  /** The guest's console reads this process's standard input, and a terminal there is in raw mode until the end. */
  readonly interactive?: boolean;
  /** Ends well once every one of these has been on the console. */
  readonly expect?: readonly string[];
  /** Gets the {@link Timeline} when the boot is complete, or the machine ends before that. Called once. */
  readonly onTimeline?: (timeline: Timeline) => void;
  readonly timeoutMs?: number;
  readonly accelerator?: 'auto' | AcceleratorName;
  /** A file that remembers whether KVM works here. */
  readonly acceleratorCache?: string;
  /** The program; `qemu-system-x86_64` if not given. */
  readonly qemu?: string;
  readonly onStart?: (started: Started) => void;
  readonly signal?: AbortSignal;
}

/** What was decided for a machine that is about to run. */
export interface Started {
  readonly accelerator: Accelerator;
  /** With the port numbers that are in force. */
  readonly publish: readonly Publication[];
}

export interface MachineResult {
  /** `expected`: all of `expect` was seen. `stopped`: from QEMU's monitor. The others were the guest's own doing. */
  readonly end: 'expected' | 'powered-off' | 'restarted' | 'stopped';
  readonly accelerator: AcceleratorName;
  readonly seconds: number;
}

/**
 * Boots an image and runs it to its end. Leaves no process behind, even if this one is killed.
 *
 * @throws LktError RUN_FAILED when the guest panics, ends before all of `expect` was seen, or takes longer than
 * `timeoutMs`; when QEMU fails; when there is too little memory or a port is taken. TOOL_MISSING without QEMU or its EFI,
 * HOST_UNSUPPORTED when KVM was asked for and does not work, INTERRUPTED on the signal.
 */
export async function runMachine(options: MachineOptions): Promise<MachineResult> {
  const memory = options.memory ?? 1024;
  requireMemory(memory, options.minimumMemory ?? 0);
  options.signal?.throwIfAborted();
  const qemu = options.qemu ?? 'qemu-system-x86_64';
  await requireQemu(qemu);
  const accelerator = await chooseAccelerator(qemu, options);
  const publish: Publication[] = [];
  for (const publication of options.publish ?? []) publish.push(await claimPort(publication));
  for (const disk of options.disks ?? []) await ensureDisk(disk);
  await using efi = await efiOf(options.files);
  options.onStart?.({ accelerator, publish });
  const args = qemuArguments({
    files: options.files,
    efi: efi.firmware,
    accelerator: accelerator.name,
    memory,
    cpus: options.cpus ?? 1,
    publish,
    disks: options.disks ?? [],
    network: options.network ?? true,
  });
  const started = performance.now();
  const recording = options.onTimeline && new Recording(started, options.onTimeline);
  const child = await start(qemu, args, options.interactive ?? false);
  const outcome = await attend(child, options, recording);
  const seconds = (performance.now() - started) / 1000;
  return { end: judge(outcome, options, publish), accelerator: accelerator.name, seconds };
}

/** The firmware that a medium needs, until it is disposed of. */
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
    `the image needs ${minimum} MiB of memory to boot, and the machine would have ${memory}`,
    { fix: `give it more: --mem ${minimum}` },
  );
}

async function requireQemu(qemu: string): Promise<void> {
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

async function chooseAccelerator(qemu: string, options: MachineOptions): Promise<Accelerator> {
  if (options.accelerator === 'tcg') return { name: 'tcg' };
  const { acceleratorCache: cacheFile } = options;
  const found = await probeAccelerator({ qemu, cacheFile });
  if (options.accelerator === 'kvm' && found.name !== 'kvm') {
    throw new LktError('HOST_UNSUPPORTED', `KVM does not work here: ${found.reason ?? ''}`, {
      fix: 'run without --accel, which falls back to software',
    });
  }
  return found;
}

/** QEMU, started. With `setpriv` (util-linux) in front the kernel ends it when this process dies. */
async function start(
  qemu: string,
  args: readonly string[],
  interactive: boolean,
): Promise<ChildProcess> {
  const guard = '/usr/bin/setpriv';
  const guarded = await access(guard).then(
    () => true,
    () => false,
  );
  const [program, ...rest] = guarded ? [guard, '--pdeathsig=KILL', '--', qemu] : [qemu];
  return spawn(program ?? qemu, [...rest, ...args], {
    stdio: [interactive ? 'inherit' : 'ignore', 'pipe', 'pipe', 'pipe'],
  });
}

/** Why lkt ended the machine, if it did. */
type Stop = 'expected' | 'panic' | 'timeout' | 'interrupted';

interface Outcome {
  readonly stop: Stop | undefined;
  /** QEMU's reason; undefined if it said none. */
  readonly shutdown: string | undefined;
  readonly exitCode: number | null;
  readonly errors: string;
  readonly watch: ConsoleWatch;
}

/** Follows a running QEMU until it is gone. */
async function attend(
  child: ChildProcess,
  options: MachineOptions,
  recording: Recording | undefined,
): Promise<Outcome> {
  const watch = new ConsoleWatch(options.expect ?? []);
  let stop: Stop | undefined;
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
  const end = (why: Stop): void => {
    if (stop !== undefined) return;
    stop = why;
    qmp.quit();
    later(STOP_GRACE_MS, () => child.kill('SIGKILL'));
  };
  const interrupted = (): void => end('interrupted');
  options.signal?.addEventListener('abort', interrupted);
  // An event of before comes to nobody.
  if (options.signal?.aborted === true) interrupted();
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
    recording?.push(chunk);
    if (options.expect !== undefined && options.expect.length > 0 && watch.missing.length === 0)
      // What was expected may be in the middle of the line that ends the boot.
      if (recording?.open === true) later(LINE_GRACE_MS, () => end('expected'));
      else end('expected');
    // The reason and the trace come after the first line of a panic.
    else if (watch.panicked) later(PANIC_GRACE_MS, () => end('panic'));
  });
  try {
    const [exitCode] = await Promise.all([closed, pumped]);
    return { stop, shutdown, exitCode, errors: errors.trim(), watch };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    recording?.stop();
    options.signal?.removeEventListener('abort', interrupted);
    child.kill('SIGKILL');
  }
}

const STOP_GRACE_MS = 2000;
const PANIC_GRACE_MS = 500;
const LINE_GRACE_MS = 1000;

/** Copies what comes, no faster than `output` takes it. An output that goes away does not stop the reading. */
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

function judge(
  outcome: Outcome,
  options: MachineOptions,
  publish: readonly Publication[],
): MachineResult['end'] {
  const { stop, shutdown, watch } = outcome;
  if (stop === 'expected') return 'expected';
  if (stop === 'interrupted') throw new LktError('INTERRUPTED', 'the machine was stopped');
  const missing = watch.missing.map((text) => JSON.stringify(text)).join(', ');
  if (watch.panicked || shutdown === 'guest-panic')
    throw failure('the kernel of the machine panicked', watch);
  if (stop === 'timeout') {
    const after = `within ${(options.timeoutMs ?? 0) / 1000} s`;
    throw missing === ''
      ? failure(`the machine did not end ${after}`, watch)
      : failure(`the console did not show ${missing} ${after}`, watch);
  }
  if (shutdown === undefined) throw qemuFailed(outcome, publish);
  if (missing !== '')
    throw failure(`the machine ended before the console showed ${missing}`, watch);
  if (shutdown === 'guest-shutdown') return 'powered-off';
  if (shutdown === 'guest-reset') return 'restarted';
  return 'stopped';
}

function failure(message: string, watch: ConsoleWatch): LktError {
  const lines = watch.lastLines(20).map((line) => `  | ${line}`);
  return new LktError(
    'RUN_FAILED',
    message,
    lines.length === 0 ? {} : { detail: lines.join('\n') },
  );
}

function qemuFailed(outcome: Outcome, publish: readonly Publication[]): LktError {
  const rule = /Could not set up host forwarding rule '(?:tcp|udp):([^-]+)-/.exec(outcome.errors);
  const taken = publish.find(({ address, hostPort }) => rule?.[1] === `${address}:${hostPort}`);
  if (taken !== undefined) return portInUse(`${taken.address}:${taken.hostPort}`, taken);
  if (outcome.errors.includes('cannot set up guest memory')) {
    return new LktError('HOST_UNSUPPORTED', 'this machine has too little memory for the guest', {
      fix: 'give it less: --mem 512',
    });
  }
  const how = outcome.exitCode === null ? 'was killed' : `ended with status ${outcome.exitCode}`;
  const detail = outcome.errors.split('\n').map((line) => `  | ${line}`);
  return new LktError(
    'RUN_FAILED',
    `QEMU ${how}`,
    outcome.errors === '' ? {} : { detail: detail.join('\n') },
  );
}
