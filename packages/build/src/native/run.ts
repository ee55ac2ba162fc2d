import { existsSync, statfsSync } from 'node:fs';
import { Socket } from 'node:net';
import { release } from 'node:os';
import { StringDecoder } from 'node:string_decoder';
import { LktError, type SourceFile, sourceError } from '@lkt/core';
import { SOURCE_DATE_EPOCH, toRaw } from '@lkt/oci';
import type { RunStep } from '../dockerfile/steps.ts';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import { MountPointError, MountPoints, type Holds } from './mount-points.ts';
import {
  CAPABILITIES,
  type Sandbox,
  type SandboxFailure,
  type SandboxLimits,
  type SandboxMount,
} from './sandbox.ts';
import { seccompFilter } from './seccomp/profile.ts';
import type { CommandGroup, Cgroups } from './cgroup.ts';
import { startProcess } from './command-process.ts';
import { findExecutor } from './find-executor.ts';
import { type GroupedProcess, groupLimits, type Inits } from './inits.ts';
import { type ExceededLimit, LimitWatch } from './limit-watch.ts';
import type { Redactor } from './redactor.ts';
import { complaintOf, launch } from './launch.ts';

export interface RunOptions {
  readonly step: RunStep;
  readonly file: SourceFile;
  /** Where the root file system is mounted. */
  readonly root: string;
  /** Directory of the store. */
  readonly store: string;
  /** A directory for what the sandbox is told. */
  readonly directory: string;
  readonly mounts: readonly RunMount[];
  readonly network: 'none' | 'host';
  readonly canSetGroups: boolean;
  readonly isRoot: boolean;
  /** As in `BuildRequest`. */
  readonly executor: string;
  readonly limits: Limits;
  readonly groups: Cgroups;
  readonly inits: Inits;
  readonly log: (text: string) => void;
  /** Takes out what must not be seen of the output. */
  readonly redactor: Redactor;
  readonly signal: AbortSignal;
}

/**
 * `target` as in the Dockerfile. A bind mount of a file needs a file as its mount point. `isOwn`: nobody else changes
 * what is in it, so others can be mounted there.
 */
export type RunMount = SandboxMount & { readonly isFile: boolean; readonly isOwn: boolean };

/** How much of a failing command's output an error shows. */
const TAIL_LINES = 40;

/**
 * Runs the command of a RUN in its own namespaces, with the mounted root file system as the only one there is. Nothing
 * of it runs any more when this returns or throws.
 * @throws LktError BUILD_FAILED, HOST_UNSUPPORTED
 */
export async function runCommand(options: RunOptions): Promise<void> {
  const { step, root, network } = options;
  const points = new MountPoints(root);
  const filter = filterText();
  let group: CommandGroup | undefined;
  try {
    const mounts = mountPoints(options, points);
    const process = start(options, (of) => ({
      root,
      mounts,
      files: step.files,
      network,
      argv: step.argv,
      env: [...step.env, ...step.proxyEnv, ...epochOf(step)],
      workdir: step.workdir,
      user: step.user,
      canSetGroups: options.canSetGroups,
      groups: of?.joins ?? [],
      limits: withoutGroups(options, of),
      ...(filter === undefined ? {} : { filter }),
    }));
    ({ group } = process);
    await follow(process, options);
  } finally {
    group?.remove();
    points.remove();
  }
}

let filterOnce: string | undefined;

/** The same for every command, and so made once. */
function filterText(): string | undefined {
  filterOnce ??= seccompFilter(process.arch, CAPABILITIES)?.toString('base64');
  return filterOnce;
}

/** An ENV of the Dockerfile goes before it. */
function epochOf({ env }: RunStep): readonly string[] {
  const isSet = env.some((variable) => variable.startsWith('SOURCE_DATE_EPOCH='));
  return isSet ? [] : [`SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}`];
}

function mountPoints(options: RunOptions, points: MountPoints): SandboxMount[] {
  const { step, file, network } = options;
  const mounts = options.mounts.map(({ isFile, isOwn, ...mount }) => ({ isFile, isOwn, mount }));
  const path = '/etc/resolv.conf';
  if (network === 'host' && existsSync(path)) {
    const readOnly = true;
    mounts.push({
      isFile: true,
      isOwn: false,
      mount: { type: 'bind', source: path, target: path, readOnly },
    });
  }
  try {
    for (const name of ['dev', 'proc', 'sys']) points.makeKernelDirectory(name);
    // What is around another comes before it.
    const sorted = mounts.toSorted((a, b) => depthOf(a.mount) - depthOf(b.mount));
    return sorted.map(({ isFile, isOwn, mount }) => {
      const holds = holdsOf(mount, isOwn && !isFile);
      const { target, isMissing } = points.make(toRaw(mount.target.slice(1)), isFile, holds);
      return { ...mount, target, ...(isMissing && { missing: isFile ? 'file' : 'directory' }) };
    });
  } catch (error) {
    if (!(error instanceof MountPointError)) throw error;
    throw sourceError('BUILD_FAILED', file, step.position, `cannot mount: ${error.message}`);
  }
}

function depthOf({ target }: SandboxMount): number {
  return target.split('/').length;
}

function holdsOf(mount: SandboxMount, isOwn: boolean): Holds {
  if (mount.type === 'tmpfs') return 'empty';
  return isOwn ? mount : 'closed';
}

function start(
  options: RunOptions,
  describe: (group: CommandGroup | undefined) => Sandbox,
): GroupedProcess {
  const { executor, directory, inits, signal } = options;
  signal.throwIfAborted();
  const program = findExecutor(executor);
  if (program === undefined) return inits.run(describe);
  const group = options.groups.create(groupLimits(options.limits));
  try {
    const { argv, extra } = launch({ executor, program }, describe(group), directory);
    return { ...startProcess(argv, { ...options, extra }), group };
  } catch (error) {
    group?.remove();
    throw error;
  }
}

async function follow(
  { child, output, ended, group }: GroupedProcess,
  options: RunOptions,
): Promise<void> {
  const { step, file, signal, limits } = options;
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  using watch = new LimitWatch(limits, group, child.pid, kill);
  const tail = new Tail(TAIL_LINES);
  const failure: Buffer[] = [];
  const decoder = new StringDecoder();
  const show = (text: string): void => {
    if (text === '') return;
    tail.add(text);
    options.log(text);
  };
  const reading = new Socket({ fd: output, readable: true, writable: false });
  reading.on('data', (chunk: Buffer) => {
    show(options.redactor.add(decoder.write(watch.take(chunk))));
  });
  const read = new Promise<void>((resolve) => {
    reading.on('close', () => {
      show(options.redactor.end());
      resolve();
    });
  });
  child.stdio[3]?.on('data', (chunk: Buffer) => failure.push(chunk));
  try {
    const status = await ended;
    await read;
    signal.throwIfAborted();
    const exceeded = watch.finish();
    if (exceeded !== undefined) throw limitError(exceeded, tail.text, options);
    const complaint = complaintOf(options.directory);
    if (failure.length > 0) throw failureError(Buffer.concat(failure).toString(), step, file);
    if (status !== 0 && complaint !== '') throw runtimeError(complaint, options);
    if (status !== 0) throw commandError(status, tail.text, options, group);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new LktError('TOOL_MISSING', 'unshare and setpriv are not installed', {
        cause: error,
        fix: 'install util-linux',
      });
    throw error;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

/** What is set for a command that is in no group for it. */
function withoutGroups(
  { limits: { memory, pids = DEFAULT_LIMITS.pids }, isRoot }: RunOptions,
  group: CommandGroup | undefined,
): SandboxLimits {
  const inGroup = group?.controllers.has('pids') === true;
  const own = hasOwnPidMax();
  return {
    // The kernel gives none below 300 a second time.
    ...(!inGroup && own ? { pidMax: 300 + pids } : {}),
    ...(!inGroup && !own && !isRoot ? { processes: pids } : {}),
    ...(memory !== undefined && group?.controllers.has('memory') !== true ? { data: memory } : {}),
  };
}

function hasOwnPidMax(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 14);
}

function limitError(exceeded: ExceededLimit, tail: string, options: RunOptions): LktError {
  const { memory, pids, seconds, output } = { ...DEFAULT_LIMITS, ...options.limits };
  const [what, flag] = {
    memory: [`wanted more memory than ${memory} bytes`, '--max-memory'],
    pids: [`wanted more than ${pids} processes at once`, '--max-processes'],
    seconds: [`did not end within ${seconds} s`, '--max-time'],
    output: [`said more than ${output} bytes`, '--max-output'],
  }[exceeded];
  return new LktError('BUILD_FAILED', `${placeOf(options)}: the command ${what}`, {
    fix: `if that is what it needs, allow it with ${flag}`,
    ...(tail === '' ? {} : { detail: tail }),
  });
}

function runtimeError(complaint: string, options: RunOptions): LktError {
  const text = `${placeOf(options)}: the command cannot be started: ${complaint}`;
  if (/executable file|no such file|permission denied|exec format/i.test(complaint))
    return new LktError('BUILD_FAILED', text);
  const fix = 'use --executor init, or see whether the runtime works on this machine';
  return new LktError('HOST_UNSUPPORTED', text, { fix });
}

function commandError(
  status: number | string,
  tail: string,
  options: RunOptions,
  group: CommandGroup | undefined,
): LktError {
  const { root, store } = options;
  const how = typeof status === 'number' ? `ended with status ${status}` : `was ended by ${status}`;
  const message = `${placeOf(options)}: the command ${how}`;
  const detail = tail === '' ? {} : { detail: tail };
  // Programs say it in many ways, and some do not.
  if (isFull(root)) {
    return new LktError('DISK_FULL', `${message}, and no space is left where it writes`, {
      ...detail,
      fix: `make room on the file system of ${store}, or name another store with --cache`,
    });
  }
  const [program = ''] = options.step.argv;
  if (status === 127 && tail === `${program}: not found`) {
    return new LktError('BUILD_FAILED', message, {
      ...detail,
      fix: `the image has no ${program} at this step: take a base that has it, or copy it in before`,
    });
  }
  const { memory } = options.limits;
  const mayBeShort = memory !== undefined && withoutGroups(options, group).data !== undefined;
  return new LktError('BUILD_FAILED', message, {
    ...detail,
    ...(mayBeShort
      ? {
          fix: `if it was short of memory: each of its processes has ${memory} bytes (--max-memory)`,
        }
      : {}),
  });
}

function placeOf({ file, step }: RunOptions): string {
  const { line, column } = step.position;
  return `${file.path}:${line}:${column}: ${step.title}`;
}

/** Whether less is free than any write of use needs. */
function isFull(path: string): boolean {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize < 256 * 1024;
}

function failureError(text: string, step: RunStep, file: SourceFile): Error {
  const { kind, message } = JSON.parse(text) as SandboxFailure;
  switch (kind) {
    case 'user':
      return sourceError('BUILD_FAILED', file, step.position, message);
    case 'id':
      return sourceError(
        'HOST_UNSUPPORTED',
        file,
        step.position,
        `a build without root does not have ${message}`,
        {
          fix: 'install uidmap (newuidmap, newgidmap) and give yourself a range in /etc/subuid and /etc/subgid, or build as root',
        },
      );
    case 'host':
      return sourceError(
        'HOST_UNSUPPORTED',
        file,
        step.position,
        `the machine does not let RUN have its own namespaces: ${message}`,
        {
          fix: 'in a container, give it the right to mount (Docker: --privileged)',
        },
      );
    case 'crash':
      return new Error(`the init of a RUN crashed: ${message}`);
    default:
      return kind satisfies never;
  }
}

/** The last lines of a text that comes in pieces. */
class Tail {
  readonly #limit: number;
  #text = '';

  constructor(lines: number) {
    this.#limit = lines;
  }

  add(text: string): void {
    this.#text = (this.#text + text).slice(-64 * 1024);
  }

  get text(): string {
    return this.#text.replace(/\n$/, '').split('\n').slice(-this.#limit).join('\n');
  }
}
