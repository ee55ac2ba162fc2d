/**
 * The first process in the namespaces of a RUN. It makes the root file system the only one there is, takes away what a
 * build does not need, and becomes the command.
 *
 * Started by inits.ts, root in a fresh pid namespace, perhaps before there is anything to run: what to run comes on
 * descriptor 4. It must not import much: this is the time a RUN waits.
 */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  fchownSync,
  fstatSync,
  readdirSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { flushCompileCache } from 'node:module';
import { dirname } from 'node:path';
import { isErrno } from '@lkt/core/errors';
import { findUser, readAccounts, readShort } from './owners.ts';
import {
  MASKED_PATHS,
  NOT_EXECUTABLE,
  NOT_FOUND,
  CAPABILITIES,
  DESCRIPTION,
  READ_ONLY_PATHS,
  type Sandbox,
  type SandboxFailure,
  thermalThrottles,
} from './sandbox.ts';
import { SystemCallError } from './c-library.ts';
import { makeNode, S_IFCHR } from './special-files.ts';
import {
  addMountFlags,
  bringLoopbackUp,
  CLONE,
  defaultSignals,
  detach,
  execute,
  exitNow,
  filterSystemCalls,
  joinNewKeyring,
  keepOpen,
  makeBlocking,
  mount,
  MS,
  pivotRoot,
  prctl,
  setCapabilities,
  setHostname,
  setLimit,
  unshare,
} from './syscalls.ts';

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

/** /proc, /sys and /dev as containers have them (runtime-spec, config-linux.md, "Default Filesystems"). */
function mountKernelFileSystems({ root, files, limits }: Sandbox): void {
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
 * A device node can be opened only where it is mounted: the few there are lie in a file system that is then out of
 * reach, and those that a command makes, in /dev or elsewhere, are of no use.
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

/** Whether it could: not in a user namespace. There the machine's own are safe, as nobody in it owns them. */
function makeDevice(path: string, major: number, minor: number): boolean {
  try {
    makeNode(path, S_IFCHR | 0o666, major, minor);
    chmodSync(path, 0o666);
    return true;
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'EPERM') return false;
    throw error;
  }
}

/** In a file system that was mounted just now, and has nothing but what this has made. */
function makeMountPoint(path: string, kind: 'file' | 'directory'): void {
  mkdirSync(kind === 'file' ? dirname(path) : path, { recursive: true, mode: 0o755 });
  if (kind === 'file') writeFileSync(path, '', { flag: 'a', mode: 0o644 });
}

/** A bind mount takes no flags at once. */
function bind(source: string, target: string, flags: number): void {
  mount(source, target, { flags: MS.bind | MS.rec });
  if (flags !== 0) addMountFlags(target, flags);
}

/** The same for everyone, whatever the caller has. */
function limitResources(): void {
  const [RLIMIT_STACK, RLIMIT_CORE, RLIMIT_NOFILE] = [3, 4, 7];
  const infinity = 2n ** 64n - 1n;
  setLimit(RLIMIT_STACK, 8n << 20n, infinity);
  setLimit(RLIMIT_CORE, 0n, 0n);
  setLimit(RLIMIT_NOFILE, 1024n, 1n << 19n);
}

function run(box: Sandbox): void {
  const user = findUser(
    box.user,
    readAccounts((path) => readShort(`/${path}`)),
  );
  if (user === undefined)
    fail('user', `the image has no user or group ${JSON.stringify(box.user)}`);
  const env = Object.fromEntries(
    box.env.map((entry) => [
      entry.slice(0, entry.indexOf('=')),
      entry.slice(entry.indexOf('=') + 1),
    ]),
  );
  if (env['HOME'] === undefined) env['HOME'] = user.home;
  try {
    makeDirectories(box.workdir);
    process.chdir(box.workdir);
  } catch (error) {
    fail('user', `cannot enter the working directory ${box.workdir}: ${String(error)}`);
  }
  // While it may: without no_new_privs, so that sudo and the like work as in Docker, this takes CAP_SYS_ADMIN.
  if (box.filter !== undefined) filterSystemCalls(Buffer.from(box.filter, 'base64'));
  become(user, box.canSetGroups);
  const [name = ''] = box.argv;
  const program = findProgram(name, env['PATH'] ?? '');
  if (program === undefined) quit(NOT_FOUND, `${name}: not found`);
  passDescriptors();
  defaultSignals();
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  // At the end, as this process is larger than some commands may be.
  const [RLIMIT_DATA, RLIMIT_NPROC] = [2, 6];
  const { data, processes } = box.limits;
  if (processes !== undefined) setLimit(RLIMIT_NPROC, BigInt(processes), BigInt(processes));
  if (data !== undefined) setLimit(RLIMIT_DATA, BigInt(data), BigInt(data));
  // Not process.execve, which ends in a crash when it fails.
  const { message } = execute(program, box.argv, variables);
  quit(NOT_EXECUTABLE, `${name}: cannot be run: ${message}`);
}

function joinGroups(groups: readonly string[]): void {
  for (const path of groups) writeFileSync(path, '0', { flag: 'r+' });
}

/** Node's own goes round for ever where nothing can be made, as in /proc. */
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

function become(
  user: { uid: number; gid: number; groups: readonly number[] },
  canSetGroups: boolean,
): void {
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

/** Lets 0, 1 and 2 through to the command, which Node would not, and nothing else, such as what the caller left open. */
function passDescriptors(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const descriptor = Number(name);
    try {
      keepOpen(descriptor, descriptor < 3);
      // Node itself does not wait at pipes, and no command expects that.
      if (descriptor < 3) makeBlocking(descriptor);
    } catch (error) {
      // The one that the list was read with.
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

function fail(kind: SandboxFailure['kind'], message: string): never {
  writeSync(3, JSON.stringify({ kind, message } satisfies SandboxFailure));
  exitNow(1);
}

function quit(status: number, message: string): never {
  writeSync(2, `${message}\n`);
  exitNow(status);
}

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
  run(sandbox);
} catch (error) {
  if (error instanceof SystemCallError) fail('host', error.message);
  fail('crash', error instanceof Error ? (error.stack ?? '') : String(error));
}
