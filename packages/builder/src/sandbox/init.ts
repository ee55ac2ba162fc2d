/**
 * The first process in the namespaces of a RUN: makes the root file system the only one, drops
 * privileges, and executes the command.
 *
 * Started by inits.ts as root in a new pid namespace, possibly before a command is known: the
 * sandbox arrives on descriptor 4. Few imports: a RUN waits while this loads.
 */
import { closeSync, mkdirSync, readSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { dirname } from 'node:path';
import { execCommand } from './exec-command.ts';
import { SystemCallError } from '../system/c-library.ts';
import { DESCRIPTION, type Sandbox, tmpfsOptions } from './sandbox.ts';
import { fail } from './sandbox-exit.ts';
import { bind, mountKernelFileSystems } from './sandbox-file-systems.ts';
import {
  bringLoopbackUp,
  CLONE,
  detach,
  exitNow,
  joinNewKeyring,
  mount,
  MS,
  pivotRoot,
  setHostname,
  setLimit,
  unshare,
} from '../system/syscalls.ts';

function enter(box: Sandbox): void {
  joinGroups(box.groups);
  leaveNamespaces(box.network);
  process.umask(0o022);
  mountKernelFileSystems(box);
  for (const item of box.mounts) {
    if (item.missing !== undefined) makeMountPoint(box.root + item.target, item.missing);
    if (item.type === 'tmpfs') {
      mount('tmpfs', box.root + item.target, {
        type: 'tmpfs',
        data: tmpfsOptions(item),
        flags: MS.nosuid | MS.nodev,
      });
    } else {
      bind(item.source, box.root + item.target, MS.nodev | (item.readOnly ? MS.rdonly : 0));
    }
  }
  setHostname('lkt');
  if (box.network === 'none') bringLoopbackUp();
  process.chdir(box.root);
  pivotRoot('.', '.');
  // The old root is now mounted over the new one.
  detach('.');
  process.chdir('/');
  limitResources();
}

/**
 * Leaves the host's namespaces, so that the following changes are invisible outside. Other threads
 * of Node stay behind, and end with `execute`.
 */
function leaveNamespaces(network: Sandbox['network']): void {
  const net = network === 'none' ? CLONE.net : 0;
  // A cgroup namespace has the process's group as its root, and hides the groups above.
  unshare(CLONE.mount | CLONE.uts | CLONE.ipc | CLONE.cgroup | net);
  mount(null, '/', { flags: MS.private | MS.rec });
}

/** Leaves the user's keyring: commands must not use keys such as Kerberos tickets. */
function leaveKeyring(): void {
  try {
    joinNewKeyring();
  } catch (error) {
    // Docker's seccomp profile forbids keyctl(2), and a kernel may have no keyrings.
    if (!(error instanceof SystemCallError) || !['EPERM', 'ENOSYS'].includes(error.code))
      throw error;
  }
}

/** Makes a mount point in a file system of the sandbox, which has only what the init made. */
function makeMountPoint(path: string, kind: 'file' | 'directory'): void {
  mkdirSync(kind === 'file' ? dirname(path) : path, { recursive: true, mode: 0o755 });
  if (kind === 'file') writeFileSync(path, '', { flag: 'a', mode: 0o644 });
}

/** Sets the same limits on every machine, regardless of the caller's. */
function limitResources(): void {
  const [RLIMIT_STACK, RLIMIT_CORE, RLIMIT_NOFILE] = [3, 4, 7];
  const infinity = 2n ** 64n - 1n;
  setLimit(RLIMIT_STACK, 8n << 20n, infinity);
  setLimit(RLIMIT_CORE, 0n, 0n);
  setLimit(RLIMIT_NOFILE, 1024n, 1n << 19n);
}

function joinGroups(groups: readonly string[]): void {
  for (const path of groups) writeFileSync(path, '0', { flag: 'r+' });
}

/** Reads a line; undefined at the end of input. */
function readLine(descriptor: number): string | undefined {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(64 * 1024);
    const length = readSync(descriptor, chunk);
    if (length === 0) return undefined;
    chunks.push(chunk.subarray(0, length));
    if (chunk[length - 1] === NEWLINE) return Buffer.concat(chunks).toString();
  }
}

const NEWLINE = 0x0a;

try {
  // Node writes its compile cache at exit, which this process never reaches.
  flushCompileCache();
  // Both take a while, the first longer unless other groups were joined just before. So they are
  // done while this process waits.
  joinGroups(process.argv.slice(2));
  leaveKeyring();
  const description = readLine(DESCRIPTION);
  if (description === undefined) exitNow(0);
  closeSync(DESCRIPTION);
  const sandbox = JSON.parse(description) as Sandbox;
  enter(sandbox);
  execCommand(sandbox);
} catch (error) {
  if (error instanceof SystemCallError) fail('host', error.message);
  fail('crash', error instanceof Error ? (error.stack ?? '') : String(error));
}
