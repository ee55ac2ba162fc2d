import { Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import { LktError, sourceError } from '@lkt/core';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { RunStep } from '@lkt/dockerfile';
import type { CommandGroup } from '../cgroup/cgroup.ts';
import { startProcess } from '../sandbox/command-process.ts';
import { findExecutor } from './find-executor.ts';
import { type GroupedProcess, groupLimits } from '../sandbox/inits.ts';
import { commandHome, commandUser } from './command-user.ts';
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

export interface RunCommandOptions extends RunSource {
  /** Directory for the files that describe the sandbox. */
  readonly directory: string;
  readonly mounts: readonly RunMount[];
  readonly network: 'none' | 'host';
  readonly log: (text: string) => void;
  /** Hides secrets in the output. */
  readonly redactor: Redactor;
}

/** Maximum number of lines, and of characters, of a failing command's output in its error. */
const [TAIL_LINES, TAIL_LENGTH] = [40, 64 * 1024];

/**
 * Runs the command of a RUN in its own namespaces, where the mounted root file system is the only
 * one. All its processes have ended when this returns or throws.
 * @throws LktError BUILD_FAILED, HOST_UNSUPPORTED
 */
export async function runCommand(options: RunCommandOptions): Promise<void> {
  const { job, step, root, network, setup } = options;
  const points = new MountPoints(root);
  let group: CommandGroup | undefined;
  try {
    const mounts = sandboxMounts({ ...options, file: job.file }, points);
    const user = commandUser(root, step.user);
    if (user === undefined) {
      const message = `the image has no user or group ${JSON.stringify(step.user)}`;
      throw sourceError('BUILD_FAILED', job.file, step.position, message);
    }
    const process = start(options, (of) => ({
      root,
      mounts,
      files: step.files,
      network,
      argv: step.argv,
      env: environment(step, () => commandHome(root, mounts, user)),
      workdir: step.workdir,
      user,
      canSetGroups: setup.hasUsers,
      groups: of?.joins ?? [],
      limits: sandboxLimits(setup.limits, of, setup.isRoot),
      filter: filterText,
    }));
    ({ group } = process);
    await follow(process, options);
  } finally {
    group?.remove();
    points.remove();
  }
}

/** Returns the environment of a command. An ENV of the Dockerfile takes precedence. */
function environment({ env, proxyEnv }: RunStep, home: () => string): readonly string[] {
  // runc replaces an empty HOME.
  const all = [...env, ...proxyEnv].filter((variable) => variable !== 'HOME=');
  const isSet = (prefix: string): boolean => all.some((variable) => variable.startsWith(prefix));
  if (!isSet('SOURCE_DATE_EPOCH=')) all.push(`SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}`);
  if (!isSet('HOME=')) all.push(`HOME=${home()}`);
  return all;
}

function start(
  options: RunCommandOptions,
  describe: (group: CommandGroup | undefined) => Sandbox,
): GroupedProcess {
  const { setup, directory, groups, inits, signal } = options;
  const { executor, limits } = setup;
  signal.throwIfAborted();
  const program = findExecutor(executor);
  if (program === undefined) return inits.run(describe);
  const group = groups.create(groupLimits(limits));
  try {
    const { argv, extra } = launch({ executor, program }, describe(group), directory);
    return { ...startProcess(argv, { limits, extra }), group };
  } catch (error) {
    group?.remove();
    throw error;
  }
}

async function follow(
  { child, output, ended, group }: GroupedProcess,
  options: RunCommandOptions,
): Promise<void> {
  const { signal, setup } = options;
  const { limits, isRoot } = setup;
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  using watch = new LimitWatch(limits, group, child.pid, kill);
  let tail = '';
  const failure: Buffer[] = [];
  const decoder = new StringDecoder();
  const show = (text: string): void => {
    if (text === '') return;
    tail = (tail + text).slice(-TAIL_LENGTH);
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
    if (exceeded !== undefined) throw limitError(exceeded, lastLines(tail), options);
    const complaint = complaintOf(options.directory);
    if (failure.length > 0) throw failureError(Buffer.concat(failure).toString(), options);
    if (status !== 0 && complaint !== '') throw runtimeError(complaint, options);
    if (status !== 0) {
      const { data } = sandboxLimits(limits, group, isRoot);
      throw commandError(status, lastLines(tail), options, data !== undefined);
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

function lastLines(text: string): string {
  return text.replace(/\n$/, '').split('\n').slice(-TAIL_LINES).join('\n');
}
