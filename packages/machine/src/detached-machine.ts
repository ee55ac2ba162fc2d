import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname } from 'node:path';
import { isErrno, LktError } from '@lkt/core';
import { chooseAccelerator, requireQemu, type MachineOptions } from './machine.ts';
import { ensureDisk } from './disk.ts';
import { type DetachedFiles, type Hardware, qemuArguments } from './qemu.ts';

/** Options of `startDetached`. Firmware is a BIOS. */
export interface DetachedOptions
  extends Hardware, Pick<MachineOptions, 'accelerator' | 'acceleratorCache' | 'qemu'> {
  readonly detached: DetachedFiles;
}

/** A machine that runs on its own. */
export interface DetachedMachine {
  readonly pid: number;
}

const MAX_PID_CHARS = 32;
const QMP_TIMEOUT_MS = 2000;

/**
 * Starts a machine that outlives this process, and returns once QEMU runs. The process id is in a
 * file that QEMU locks, so two calls with the same file start one machine.
 * @throws RUN_FAILED with QEMU's message, also if the machine runs already; TOOL_MISSING,
 * HOST_UNSUPPORTED; the errors of `ensureDisk`
 */
export async function startDetached(options: DetachedOptions): Promise<DetachedMachine> {
  const qemu = options.qemu ?? 'qemu-system-x86_64';
  await requireQemu(qemu);
  const accelerator = await chooseAccelerator(qemu, options);
  for (const disk of options.disks) await ensureDisk(disk);
  const args = qemuArguments({ ...options, accelerator: accelerator.name });
  // QEMU's parent ends once the machine is set up, and its child keeps none of these streams.
  const child = spawn(qemu, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4096);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new LktError('RUN_FAILED', `QEMU did not start: ${lastLine(errors, code)}`);
  const pid = runningPid(options.detached);
  if (pid === undefined) throw new LktError('RUN_FAILED', 'QEMU ended right after its start');
  return { pid };
}

/** Reports whether the machine with these files runs, and not a program that reuses its pid. */
export function isMachineRunning(files: DetachedFiles): boolean {
  return runningPid(files) !== undefined;
}

/** Ends the machine with these files at once; does nothing if it does not run. */
export function killMachine(files: DetachedFiles): void {
  const pid = runningPid(files);
  if (pid !== undefined) kill(pid);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
}

/**
 * Presses the power button of a machine, to which the guest responds by a shutdown. Does nothing if
 * the machine does not run or QEMU does not respond.
 */
export async function powerDown(files: DetachedFiles): Promise<void> {
  if (!isMachineRunning(files)) return;
  const socket = connect(files.qmp);
  socket.setTimeout(QMP_TIMEOUT_MS, () => socket.destroy());
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  socket.on('error', () => undefined);
  const commands = ['qmp_capabilities', 'system_powerdown'];
  socket.on('data', (chunk: Buffer) => {
    // The greeting, then the response to each command.
    if (!/"(?:QMP|return|error)"/.test(chunk.toString('latin1'))) return;
    const command = commands.shift();
    if (command === undefined) socket.end();
    else socket.write(`${JSON.stringify({ execute: command })}\n`);
  });
  await closed;
}

/**
 * Ends the machines of this user whose files were in a directory of `parent` that `isKnown` does
 * not know, by its name: someone removed it while they ran.
 */
export function killForgottenMachines(parent: string, isKnown: (name: string) => boolean): void {
  for (const [pid, path] of pidFiles()) {
    const name = basename(dirname(path));
    const isForgotten = dirname(dirname(path)) === parent && !isKnown(name);
    if (isForgotten && ownerOf(pid) === process.geteuid?.()) kill(pid);
  }
}

/** Returns the pid of the running machine with these files. */
function runningPid({ pid: path }: DetachedFiles): number | undefined {
  const text = readOptional(path)?.slice(0, MAX_PID_CHARS).trim() ?? '';
  if (PID.test(text) && pidFileOf(text) === path) return Number(text);
  // The file may have been removed, as by a QEMU that had the same name.
  for (const [pid, other] of pidFiles()) if (other === path) return pid;
  return undefined;
}

function ownerOf(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

const PID = /^[1-9]\d{0,8}$/;

/** Yields the machines of all users that this one can see, with the paths of their pid files. */
function* pidFiles(): Generator<readonly [pid: number, path: string]> {
  for (const pid of readdirSync('/proc')) {
    const path = PID.test(pid) ? pidFileOf(pid) : undefined;
    if (path !== undefined) yield [Number(pid), path];
  }
}

/** Returns the path of the pid file that a QEMU process was given. */
function pidFileOf(pid: string): string | undefined {
  const args = readOptional(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
  const index = args.indexOf('-pidfile');
  return index === -1 ? undefined : args[index + 1];
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function lastLine(text: string, code: number | null): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line === '' ? `it ended with status ${code ?? 'of a signal'}` : line;
}
