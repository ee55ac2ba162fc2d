/** Why the command of a RUN did not do what it should. */
import { statfsSync } from 'node:fs';
import { LktError, type SourceFile, sourceError } from '@lkt/core';
import type { RunStep } from '@lkt/dockerfile';
import { DEFAULT_LIMITS, type Limits } from '../limits.ts';
import type { ExceededLimit } from '../cgroup/limit-watch.ts';
import type { SandboxFailure } from '../sandbox/sandbox.ts';

/** Which command, and where it ran. */
export interface RunSource {
  readonly step: RunStep;
  readonly file: SourceFile;
  /** Where the root file system is mounted. */
  readonly root: string;
  /** Directory of the store. */
  readonly store: string;
  readonly limits: Limits;
}

/** The command was stopped at a limit. */
export function limitError(exceeded: ExceededLimit, tail: string, command: RunSource): LktError {
  const { memory, pids, seconds, output } = { ...DEFAULT_LIMITS, ...command.limits };
  const [what, flag] = {
    memory: [`wanted more memory than ${memory} bytes`, '--max-memory'],
    pids: [`wanted more than ${pids} processes at once`, '--max-processes'],
    seconds: [`did not end within ${seconds} s`, '--max-time'],
    output: [`said more than ${output} bytes`, '--max-output'],
  }[exceeded];
  return new LktError('BUILD_FAILED', `${placeOf(command)}: the command ${what}`, {
    fix: `if that is what it needs, allow it with ${flag}`,
    detail: tail === '' ? undefined : tail,
  });
}

/** The program that runs commands could not start this one. */
export function runtimeError(complaint: string, command: RunSource): LktError {
  const text = `${placeOf(command)}: the command cannot be started: ${complaint}`;
  if (/executable file|no such file|permission denied|exec format/i.test(complaint))
    return new LktError('BUILD_FAILED', text);
  const fix = 'use --executor init, or see whether the runtime works on this machine';
  return new LktError('HOST_UNSUPPORTED', text, { fix });
}

/**
 * The command has failed.
 * @param tail the last lines of what it said
 * @param hasDataLimit whether each of its processes has a limit of memory
 */
export function commandError(
  status: number | string,
  tail: string,
  command: RunSource,
  hasDataLimit: boolean,
): LktError {
  const { root, store } = command;
  const how = typeof status === 'number' ? `ended with status ${status}` : `was ended by ${status}`;
  const message = `${placeOf(command)}: the command ${how}`;
  const detail = tail === '' ? {} : { detail: tail };
  // Programs say it in many ways, and some do not.
  if (isFull(root)) {
    return new LktError('DISK_FULL', `${message}, and no space is left where it writes`, {
      ...detail,
      fix: `make room on the file system of ${store}, or name another store with --cache`,
    });
  }
  const [program = ''] = command.step.argv;
  if (status === 127 && tail === `${program}: not found`) {
    return new LktError('BUILD_FAILED', message, {
      ...detail,
      fix: `the image has no ${program} at this step: take a base that has it, or copy it in before`,
    });
  }
  const { memory } = command.limits;
  const mayBeShort = memory !== undefined && hasDataLimit;
  return new LktError('BUILD_FAILED', message, {
    ...detail,
    ...(mayBeShort
      ? {
          fix: `if it was short of memory: each of its processes has ${memory} bytes (--max-memory)`,
        }
      : {}),
  });
}

/** The init could not make the sandbox. @param text what it said, a `SandboxFailure` */
export function failureError(text: string, { step, file }: RunSource): Error {
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

function placeOf({ file, step }: RunSource): string {
  const { line, column } = step.position;
  return `${file.path}:${line}:${column}: ${step.title}`;
}

/** Whether less is free than any write of use needs. */
function isFull(path: string): boolean {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize < 256 * 1024;
}
