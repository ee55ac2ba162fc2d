import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '@lkt/core';
import { bubblewrapArguments } from './bubblewrap.ts';
import { rootlessIdError, runtimeConfig } from './oci-runtime.ts';
import { limitFlags } from './resource-limits.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';

/** How to start a sandbox with a program of the host. */
export interface Launch {
  readonly argv: readonly string[];
  /** Open files that it inherits as descriptors from 4 on. */
  readonly extra: readonly number[];
}

/**
 * Returns how a program of the host runs a command.
 * @param directory for temporary files
 */
export function launch(
  { executor, program }: { readonly executor: string; readonly program: string },
  sandbox: Sandbox,
  directory: string,
): Launch {
  if (executor === 'bwrap') {
    const open = (name: string, content: string | Buffer): number => {
      const path = join(directory, name);
      writeFileSync(path, content, { mode: 0o600 });
      return openSync(path, 'r');
    };
    const { filter, argv, limits } = sandbox;
    // Arguments are readable by every user of the host, and a variable may be a secret.
    const words = bubblewrapArguments(sandbox, directory).map((word) => `${word}\0`);
    const extra = [open('arguments', words.join(''))];
    if (filter !== undefined) extra.push(open('filter', Buffer.from(filter, 'base64')));
    const command = ['prlimit', ...limitFlags(limits), program, '--args', '4', '--', ...argv];
    return { argv: inGroups(sandbox, ':', command), extra };
  }
  const missing = rootlessIdError(sandbox);
  if (missing !== undefined) throw missing;
  writeFileSync(join(directory, 'config.json'), runtimeConfig(sandbox, directory), { mode: 0o600 });
  const name = program.slice(program.lastIndexOf('/') + 1);
  const flags = name === 'crun' ? ['--cgroup-manager=disabled'] : ['--rootless=true'];
  const log = ['--log', join(directory, 'log')];
  const command = ['--root', join(directory, 'state'), ...log, ...flags, 'run', '--bundle'];
  return {
    argv: inGroups(sandbox, name === 'crun' ? HIDDEN : UNTOUCHED, [
      program,
      ...command,
      directory,
      'lkt',
    ]),
    extra: [],
  };
}

/** crun rejects a host with a hybrid hierarchy, and does not need control groups here. */
const HIDDEN = 'mount -t tmpfs none /sys/fs/cgroup';
/** runc creates control groups of its own where it may. */
const UNTOUCHED = 'mount -o remount,bind,ro=recursive /sys/fs/cgroup';

/**
 * Returns a command that runs in a pid namespace, with which all its processes end, and in control
 * groups.
 * @param prepare shell commands to run first
 */
function inGroups(
  { groups, limits }: Sandbox,
  prepare: string,
  command: readonly string[],
): readonly string[] {
  const most =
    limits.pidMax === undefined ? ':' : `echo ${limits.pidMax} > /proc/sys/kernel/pid_max`;
  const enter = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit; shift; done; shift';
  // Descriptor 3 is the init's.
  const script = `${enter}; ${most} && ${prepare} && exec "$@" 3>&-`;
  return [
    'unshare',
    '--pid',
    '--mount',
    '--cgroup',
    '--fork',
    '--kill-child=KILL',
    '--mount-proc',
    '--',
    'sh',
    '-c',
    script,
    'sh',
    ...groups,
    '--',
    ...command,
  ];
}

/**
 * Returns the end of a runtime's log, which says why it could not start a command; '' if it is
 * empty.
 */
export function complaintOf(directory: string): string {
  try {
    const lines = readFileSync(join(directory, 'log'), 'utf8').trim().split('\n');
    return lines.findLast((line) => /error|not|fail/i.test(line)) ?? '';
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return '';
    throw error;
  }
}
