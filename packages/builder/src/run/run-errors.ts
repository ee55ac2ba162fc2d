/** Errors of the command of a RUN. */
import { statfsSync } from 'node:fs';
import { LktError, type LktErrorCode, sourceError } from '@lkt/core';
import type { RunStep } from '@lkt/dockerfile';
import { DEFAULT_LIMITS } from '../limits.ts';
import type { JobContext } from '../worker/worker-context.ts';
import type { ExceededLimit } from '../cgroup/limit-watch.ts';
import { ALLOW_IN_CONTAINER, SHOW_PROC } from '../system/container-fix.ts';
import { MAP_IDS } from '../system/map-ids.ts';
import type { SandboxFailure } from '../sandbox/sandbox.ts';

/** A command with its location and limits. */
export interface RunSource extends JobContext {
  readonly step: RunStep;
  /** The mounted root file system. */
  readonly root: string;
}

/** Returns the error for a command that reached a limit. */
export function limitError(exceeded: ExceededLimit, tail: string, command: RunSource): LktError {
  const { memory, pids, seconds, output } = { ...DEFAULT_LIMITS, ...command.setup.limits };
  const [what, flag] = {
    memory: [`exceeded ${memory} bytes of memory`, '--max-memory'],
    pids: [`exceeded ${pids} processes`, '--max-processes'],
    seconds: [`did not end within ${seconds} s`, '--max-time'],
    output: [`wrote more than ${output} bytes of output`, '--max-output'],
  }[exceeded];
  return new LktError('BUILD_FAILED', `${placeOf(command)}: the command ${what}`, {
    fix: `raise the limit with ${flag} if the command needs more`,
    detail: tail === '' ? undefined : tail,
  });
}

/** Returns the error for a command that an OCI runtime or bubblewrap could not start. */
export function runtimeError(complaint: string, command: RunSource): LktError {
  const text = `${placeOf(command)}: the command cannot be started: ${complaint}`;
  if (/executable file|no such file|permission denied|exec format/i.test(complaint))
    return new LktError('BUILD_FAILED', text);
  const fix = 'use --executor init, or check that the runtime works on this machine';
  return new LktError('HOST_UNSUPPORTED', text, { fix });
}

/**
 * Returns the error for a command that failed.
 * @param tail the last lines of its output
 * @param hasDataLimit whether each of its processes has a memory limit
 */
export function commandError(
  status: number | string,
  tail: string,
  command: RunSource,
  hasDataLimit: boolean,
): LktError {
  const { root, store, setup } = command;
  const how =
    typeof status === 'number' ? `ended with status ${status}` : `was killed by ${status}`;
  const message = `${placeOf(command)}: the command ${how}`;
  const detail = tail === '' ? undefined : tail;
  // Not every program reports a full disk, or in the same words.
  if (isFull(root)) {
    return new LktError('DISK_FULL', `${message}, and its file system is full`, {
      detail,
      fix: `free space on the file system of ${store.dir}, or use another store with --cache`,
    });
  }
  const [program = ''] = command.step.argv;
  const { memory } = setup.limits;
  let fix: string | undefined;
  if (status === 127 && tail === `${program}: not found`)
    fix = `the image has no ${program} at this step: use a base image that has it, or COPY it first`;
  else if (memory !== undefined && hasDataLimit)
    fix = `if it ran out of memory, raise --max-memory: each of its processes has ${memory} bytes`;
  // The kernel's answer to a chown to an id that is not mapped.
  else if (!setup.hasUsers && /invalid argument/i.test(tail))
    fix = `if it changes owners of files: ${MAP_IDS}`;
  return new LktError('BUILD_FAILED', message, { detail, fix });
}

/** Returns the error for a sandbox that the init could not make. @param text a `SandboxFailure` */
export function failureError(text: string, { step, job }: RunSource): Error {
  const { kind, message } = JSON.parse(text) as SandboxFailure;
  const failed = (code: LktErrorCode, what: string, fix?: string): LktError =>
    sourceError(code, job.file, step.position, what, { fix });
  switch (kind) {
    case 'user':
      return failed('BUILD_FAILED', message);
    case 'id':
      return failed('HOST_UNSUPPORTED', `a build without root lacks ${message}`, MAP_IDS);
    case 'host':
      return failed(
        'HOST_UNSUPPORTED',
        `this machine does not allow namespaces for RUN: ${message}`,
        message.startsWith('mount proc on ') ? SHOW_PROC : ALLOW_IN_CONTAINER,
      );
    case 'crash':
      return new Error(`the init of a RUN crashed: ${message}`);
    default:
      return kind satisfies never;
  }
}

function placeOf({ job, step }: RunSource): string {
  const { line, column } = step.position;
  return `${job.file.path}:${line}:${column}: ${step.title}`;
}

/** Reports whether the file system has too little space for any useful write. */
function isFull(path: string): boolean {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize < 256 * 1024;
}
