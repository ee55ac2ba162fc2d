/** /proc, /sys and /dev in the root file system of a RUN. The init loads this: few imports. */
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { SystemCallError } from '../system/c-library.ts';
import { MASKED_PATHS, READ_ONLY_PATHS, type Sandbox, thermalThrottles } from './sandbox.ts';
import { makeNode } from '../system/special-files.ts';
import { addMountFlags, detach, mount, MS } from '../system/syscalls.ts';

/** Mounts /proc, /sys and /dev (runtime-spec, config-linux.md, "Default Filesystems"). */
export function mountKernelFileSystems({ root, files, limits }: Sandbox): void {
  const restricted = MS.nosuid | MS.nodev | MS.noexec;
  mount('proc', `${root}/proc`, { type: 'proc', flags: restricted });
  if (limits.pidMax !== undefined)
    writeFileSync(`${root}/proc/sys/kernel/pid_max`, String(limits.pidMax));
  for (const path of READ_ONLY_PATHS)
    if (existsSync(root + path)) bind(root + path, root + path, MS.rdonly | restricted);
  mountDev(root, files);
  mountSys(root);
  for (const path of [...MASKED_PATHS, ...thermalThrottles(`${root}/sys`)]) {
    const target = root + path;
    if (!existsSync(target)) continue;
    if (statSync(target).isDirectory())
      mount('tmpfs', target, { type: 'tmpfs', flags: MS.rdonly | restricted });
    else bind(`${root}/dev/null`, target, 0);
  }
}

function mountSys(root: string): void {
  const flags = MS.nosuid | MS.nodev | MS.noexec | MS.rdonly;
  try {
    mount('sysfs', `${root}/sys`, { type: 'sysfs', flags });
  } catch (error) {
    // A user namespace that shares the host's network has no sysfs of its own.
    if (!(error instanceof SystemCallError) || error.code !== 'EPERM') throw error;
    mount('tmpfs', `${root}/sys`, { type: 'tmpfs', flags });
  }
}

/**
 * Mounts /dev. A device node can be opened only where it is bind-mounted: the nodes are in a file
 * system that is then detached, and those that a command makes, in /dev or elsewhere, cannot be
 * opened.
 */
function mountDev(root: string, files: Sandbox['files']): void {
  const dev = `${root}/dev`;
  mount('tmpfs', dev, { type: 'tmpfs', data: 'mode=755,size=65536k', flags: MS.nosuid | MS.nodev });
  const devices = `${root}/sys`;
  mount('tmpfs', devices, { type: 'tmpfs', data: 'mode=700', flags: MS.nosuid });
  for (const [name, major, minor] of DEVICES) {
    writeFileSync(`${dev}/${name}`, '');
    const node = `${devices}/${name}`;
    const source = makeDevice(node, major, minor) ? node : `/dev/${name}`;
    mount(source, `${dev}/${name}`, { flags: MS.bind });
  }
  detach(devices);
  mkdirSync(`${dev}/pts`);
  mount('devpts', `${dev}/pts`, {
    type: 'devpts',
    data: 'newinstance,ptmxmode=0666,mode=0620',
    flags: MS.nosuid | MS.noexec,
  });
  mkdirSync(`${dev}/shm`);
  mount('tmpfs', `${dev}/shm`, {
    type: 'tmpfs',
    data: 'mode=1777,size=65536k',
    flags: MS.nosuid | MS.nodev,
  });
  const links = {
    ptmx: 'pts/ptmx',
    fd: '/proc/self/fd',
    stdin: '/proc/self/fd/0',
    stdout: '/proc/self/fd/1',
    stderr: '/proc/self/fd/2',
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, `${dev}/${name}`);
  for (const { path, content, mode } of files) {
    if (!path.startsWith('/dev/')) throw new Error(`${path} is not in /dev`);
    mkdirSync(`${root}${path.slice(0, path.lastIndexOf('/'))}`, { recursive: true });
    writeFileSync(`${root}${path}`, content, { mode });
  }
}

const DEVICES = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
] as const;

/**
 * Makes a device. Returns false in a user namespace, where the host's device is used instead: it is
 * safe because no user of the namespace owns it.
 */
function makeDevice(path: string, major: number, minor: number): boolean {
  try {
    makeNode(path, 'char', 0o666, major, minor);
    chmodSync(path, 0o666);
    return true;
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'EPERM') return false;
    throw error;
  }
}

/**
 * Bind-mounts a path with the file systems below it. The flags need a second call: a bind mount
 * ignores them.
 */
export function bind(source: string, target: string, flags: number): void {
  mount(source, target, { flags: MS.bind | MS.rec });
  if (flags !== 0) addMountFlags(target, flags);
}
