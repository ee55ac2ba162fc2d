/**
 * The last part of the init of a RUN: drops its privileges and executes the command. Few imports,
 * to start fast.
 */
import {
  accessSync,
  constants,
  fchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
} from 'node:fs';
import { isErrno } from '@lkt/core/errors';
import { SystemCallError } from '../system/c-library.ts';
import type { User } from '../copy/owners.ts';
import { CAPABILITIES, environmentOf, NOT_EXECUTABLE, NOT_FOUND, type Sandbox } from './sandbox.ts';
import { fail, quit } from './sandbox-exit.ts';
import {
  defaultSignals,
  execute,
  filterSystemCalls,
  keepOpen,
  makeBlocking,
  newSession,
  prctl,
  setCapabilities,
  setLimit,
} from '../system/syscalls.ts';

/** Executes the command in the root file system of the sandbox. Does not return. */
export function execCommand(box: Sandbox): never {
  const env = environmentOf(box.env);
  try {
    makeDirectories(box.workdir);
    process.chdir(box.workdir);
  } catch (error) {
    fail('user', `cannot enter the working directory ${box.workdir}: ${String(error)}`);
  }
  // Without no_new_privs, so that sudo works as in Docker, this needs CAP_SYS_ADMIN, which is
  // dropped next.
  if (box.filter !== undefined) filterSystemCalls(Buffer.from(box.filter, 'base64'));
  changeUser(box.user, box.canSetGroups);
  const [name = ''] = box.argv;
  const program = findProgram(name, env['PATH'] ?? '');
  if (program === undefined) quit(NOT_FOUND, `${name}: not found`);
  passDescriptors();
  defaultSignals();
  // A signal to the process group, such as by kill 0, would also reach lkt's processes.
  newSession();
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  // Last, because this process is larger than some commands may be.
  const [RLIMIT_DATA, RLIMIT_NPROC] = [2, 6];
  const { data, processes } = box.limits;
  if (processes !== undefined) setLimit(RLIMIT_NPROC, BigInt(processes), BigInt(processes));
  if (data !== undefined) setLimit(RLIMIT_DATA, BigInt(data), BigInt(data));
  // process.execve crashes if it fails.
  const { message } = execute(program, box.argv, variables);
  quit(NOT_EXECUTABLE, `${name}: cannot be run: ${message}`);
}

/**
 * Makes a directory and its parents. Node's recursive mkdir never ends in a read-only file system
 * such as /proc.
 */
function makeDirectories(path: string): void {
  const parts = path.split('/');
  for (const end of parts.keys()) {
    const directory = parts.slice(0, end + 1).join('/');
    try {
      if (directory !== '') mkdirSync(directory);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
    }
  }
}

function changeUser(user: User, canSetGroups: boolean): void {
  const [PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL] = [24, 47, 4];
  for (let capability = 0; capability < 64; capability += 1) {
    if (CAPABILITIES.includes(capability)) continue;
    try {
      prctl(PR_CAPBSET_DROP, capability);
    } catch (error) {
      if (error instanceof SystemCallError && error.code === 'EINVAL') break;
      throw error;
    }
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  try {
    // So that the command can open /dev/stdout.
    if (user.uid !== 0) fchownSync(1, user.uid, user.gid);
    if (canSetGroups) process.setgroups?.([...user.groups]);
    if (user.gid !== 0) process.setgid?.(user.gid);
    if (user.uid !== 0) process.setuid?.(user.uid);
  } catch (error) {
    fail('id', `user ${user.uid}:${user.gid}: ${String(error)}`);
  }
  if (user.uid === 0) setCapabilities(CAPABILITIES);
}

/**
 * Passes descriptors 0, 1 and 2 to the command, and closes all others, also those of lkt's caller.
 */
function passDescriptors(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const descriptor = Number(name);
    try {
      keepOpen(descriptor, descriptor < 3);
      // Node makes pipes non-blocking, which commands do not expect.
      if (descriptor < 3) makeBlocking(descriptor);
    } catch (error) {
      // The descriptor that the directory was read with.
      if (!(error instanceof SystemCallError) || error.code !== 'EBADF') throw error;
    }
  }
}

function findProgram(name: string, path: string): string | undefined {
  const candidates = name.includes('/')
    ? [name]
    : path.split(':').map((directory) => `${directory === '' ? '.' : directory}/${name}`);
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return lstatSync(candidate).isSymbolicLink() || statSync(candidate).isFile();
    } catch {
      return false;
    }
  });
}
