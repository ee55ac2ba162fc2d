import { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { LktError } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { RunStep } from '@lkt/dockerfile';
import type { CommandGroup, Cgroups } from '../cgroup/cgroup.ts';
import { startProcess } from '../sandbox/command-process.ts';
import { findExecutor } from './find-executor.ts';
import { type GroupedProcess, groupLimits, type Inits } from '../sandbox/inits.ts';
import { complaintOf, launch } from './launch.ts';
import { LimitWatch } from '../cgroup/limit-watch.ts';
import { MountPoints } from './mount-points.ts';
import type { Redactor } from '../secrets/redactor.ts';
import {
  commandError,
  failureError,
  limitError,
  type RunSource,
  runtimeError,
} from './run-errors.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { sandboxLimits } from '../sandbox/sandbox-limits.ts';
import { type RunMount, sandboxMounts } from '../sandbox/sandbox-mounts.ts';
import { filterText } from '../seccomp/filter-text.ts';
import { Tail } from './tail.ts';

export interface RunOptions extends RunSource {
  /** Directory for the files that describe the sandbox. */
  readonly directory: string;
  readonly mounts: readonly RunMount[];
  readonly network: 'none' | 'host';
  readonly canSetGroups: boolean;
  readonly isRoot: boolean;
  /** As in `BuildRequest`. */
  readonly executor: string;
  readonly groups: Cgroups;
  readonly inits: Inits;
  readonly log: (text: string) => void;
  /** Hides secrets in the output. */
  readonly redactor: Redactor;
  readonly signal: AbortSignal;
}

/** Number of lines of a failing command's output in its error. */
const TAIL_LINES = 40;

/**
 * Runs the command of a RUN in its own namespaces, where the mounted root file system is the only
 * one. All its processes have ended when this returns or throws.
 * @throws LktError BUILD_FAILED, HOST_UNSUPPORTED
 */
export async function runCommand(options: RunOptions): Promise<void> {
  const { step, root, network } = options;
  const points = new MountPoints(root);
  let group: CommandGroup | undefined;
  try {
    const mounts = sandboxMounts(options, points);
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
      limits: sandboxLimits(options.limits, of, options.isRoot),
      filter: filterText,
    }));
    ({ group } = process);
    await follow(process, options);
  } finally {
    group?.remove();
    points.remove();
  }
}

/** An ENV of the Dockerfile takes precedence. */
function epochOf({ env }: RunStep): readonly string[] {
  const isSet = env.some((variable) => variable.startsWith('SOURCE_DATE_EPOCH='));
  return isSet ? [] : [`SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}`];
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
  const { signal, limits, isRoot } = options;
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
    if (failure.length > 0) throw failureError(Buffer.concat(failure).toString(), options);
    if (status !== 0 && complaint !== '') throw runtimeError(complaint, options);
    if (status !== 0) {
      const { data } = sandboxLimits(limits, group, isRoot);
      throw commandError(status, tail.text, options, data !== undefined);
    }
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
