/**
 * The first process in the namespaces of a RUN. It makes the root file system the only one there is, takes away what a
 * build does not need, and becomes the command.
 *
 * Started by inits.ts, root in a fresh pid namespace, perhaps before there is anything to run: what to run comes on
 * descriptor 4. It must not import much: this is the time a RUN waits.
 */
import { closeSync, fstatSync, mkdirSync, readdirSync, readSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { dirname } from 'node:path';
import { isErrno } from '@lkt/core/errors';
import { execCommand } from './exec-command.ts';
import { SystemCallError } from '../system/c-library.ts';
import { DESCRIPTION, type Sandbox } from './sandbox.ts';
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
  closeInheritedFiles();
  mountKernelFileSystems(box);
  for (const item of box.mounts) {
    if (item.missing !== undefined) makeMountPoint(box.root + item.target, item.missing);
    if (item.type === 'tmpfs') {
      mount('tmpfs', box.root + item.target, {
        type: 'tmpfs',
        data: item.options,
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
  // The old root lies over the new one now.
  detach('.');
  process.chdir('/');
  limitResources();
}

/** From here on nothing that is done is seen outside. Other threads of Node stay behind, and end with `execute`. */
function leaveNamespaces(network: Sandbox['network']): void {
  const net = network === 'none' ? CLONE.net : 0;
  // What is in the namespace of control groups has them as its root, and does not see what is above.
  unshare(CLONE.mount | CLONE.uts | CLONE.ipc | CLONE.cgroup | net);
  mount(null, '/', { flags: MS.private | MS.rec });
}

/**
 * What the caller of lkt left open leads out of the sandbox: as /proc/self/fd/100 it can be a working directory, or
 * where a program is. Node's own descriptors are neither files nor directories.
 */
function closeInheritedFiles(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const descriptor = Number(name);
    if (descriptor <= 3) continue;
    try {
      const stats = fstatSync(descriptor);
      if (stats.isFile() || stats.isDirectory()) closeSync(descriptor);
    } catch (error) {
      // The one that the list was read with.
      if (!isErrno(error, 'EBADF')) throw error;
    }
  }
}

/** The keys of the user (Kerberos tickets, of encrypted file systems) are not for commands. */
function leaveKeyring(): void {
  try {
    joinNewKeyring();
  } catch (error) {
    // Docker forbids all of it; a kernel may have no keyrings.
    if (!(error instanceof SystemCallError) || !['EPERM', 'ENOSYS'].includes(error.code))
      throw error;
  }
}

/** In a file system that was mounted just now, and has nothing but what this has made. */
function makeMountPoint(path: string, kind: 'file' | 'directory'): void {
  mkdirSync(kind === 'file' ? dirname(path) : path, { recursive: true, mode: 0o755 });
  if (kind === 'file') writeFileSync(path, '', { flag: 'a', mode: 0o644 });
}

/** The same for everyone, whatever the caller has. */
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

/** Waits for a line; undefined when there is none. */
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
  // This process has no end at which Node would do it.
  flushCompileCache();
  // These take a while, joining groups when others have not just done it, and so are not left for later.
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
