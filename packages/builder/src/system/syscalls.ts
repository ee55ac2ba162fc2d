import koffi from 'koffi';
import { asyncCall, call, Data, library, type Path, SystemCallError, TEXT } from './c-library.ts';

/** Flags of mount(2). */
export const MS = {
  rdonly: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  bind: 4096,
  rec: 16384,
  private: 262144,
} as const;

const mountCall = call<[string | null, Path, string | null, number, string | null]>(
  'mount',
  [TEXT, TEXT, TEXT, 'ulong', TEXT],
  (source, target, type) => `${type ?? source ?? ''} on ${String(target)}`,
);

/** mount(2) */
export function mount(
  source: string | null,
  target: string,
  options: { readonly type?: string; readonly flags?: number; readonly data?: string } = {},
): void {
  mountCall(source, target, options.type ?? null, options.flags ?? 0, options.data ?? null);
}

/** The system call itself: glibc has a function for it since 2.36, musl does not. */
const setattrCall = call<[number, number, string, number, Data, number]>(
  'syscall',
  ['long', 'int', TEXT, 'uint', 'void *', 'size_t'],
  (_number, _directory, path) => path,
  'long',
);

/**
 * Adds flags to a mount and all mounts in it; mount(2) would replace their flags. mount_setattr(2)
 */
export function addMountFlags(target: string, flags: number): void {
  const [SYS_mount_setattr, AT_FDCWD, AT_RECURSIVE] = [442, -100, 0x8000];
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd. These flags equal mount(2)'s.
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(BigInt(flags));
  const data = new Data(attributes);
  setattrCall(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, data, attributes.length);
}

const umountCall = call<[string, number]>('umount2', [TEXT, 'int'], (target) => target);

/** Detaches a mount; it ends with its last user. */
export function detach(target: string): void {
  umountCall(target, 2);
}

const umountLater = asyncCall('umount2', [TEXT, 'int']);

/** Detaches a mount in another thread, as the kernel may wait for all processors. */
export async function detachLater(target: string): Promise<void> {
  const result = await umountLater(Buffer.from(`${target}\0`), 2);
  // errno is not visible in this thread.
  if (result < 0) detach(target);
}

/** Flags of unshare(2): namespaces. */
export const CLONE = {
  mount: 0x0002_0000,
  cgroup: 0x0200_0000,
  uts: 0x0400_0000,
  ipc: 0x0800_0000,
  net: 0x4000_0000,
} as const;

/** unshare(2), for the calling thread */
export const unshare: (flags: number) => void = call<[number]>('unshare', ['int'], (flags) =>
  flags.toString(16),
);

/** Makes `root` the root, and moves the previous one to `old`. pivot_root(2) */
export const pivotRoot: (root: string, old: string) => void = call<[string, string]>(
  'pivot_root',
  [TEXT, TEXT],
  (root) => root,
);

const keyCall = call<[number, number, null]>(
  'syscall',
  ['long', 'int', 'void *'],
  () => 'keyctl',
  'long',
);

/** Leaves the session keyring of the caller for a new one. keyctl(2) */
export function joinNewKeyring(): void {
  const KEYCTL_JOIN_SESSION_KEYRING = 1;
  const number = process.arch === 'x64' ? 250 : 219;
  keyCall(number, KEYCTL_JOIN_SESSION_KEYRING, null);
}

const hostnameCall = call<[string, number]>('sethostname', [TEXT, 'size_t'], (name) => name);
const domainCall = call<[string, number]>('setdomainname', [TEXT, 'size_t'], (name) => name);

export function setHostname(name: string): void {
  hostnameCall(name, Buffer.byteLength(name));
  domainCall('', 0);
}

const setsidCall = call<[]>('setsid', [], () => '');

/** Makes the process the leader of a session and process group of its own. setsid(2) */
export function newSession(): void {
  setsidCall();
}

const prctlCall = call<[number, number, number, number, number]>(
  'prctl',
  ['int', 'ulong', 'ulong', 'ulong', 'ulong'],
  (option) => String(option),
);

/** prctl(2) */
export function prctl(option: number, a: number, b = 0): void {
  prctlCall(option, a, b, 0, 0);
}

koffi.struct('sock_fprog', { len: 'uint16', filter: 'void *' });
const seccompCall = call<[number, number, number, { len: number; filter: Buffer }]>(
  'syscall',
  ['long', 'uint', 'uint', 'sock_fprog *'],
  () => 'seccomp',
  'long',
);

/**
 * Applies a filter to all further system calls of the calling thread and its children. Needs
 * CAP_SYS_ADMIN in the user namespace. seccomp(2)
 * @param filter an array of `struct sock_filter`
 */
export function filterSystemCalls(filter: Buffer): void {
  // Without SPEC_ALLOW older kernels slow the command down.
  const [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW] = [1, 4];
  const number = process.arch === 'x64' ? 317 : 277;
  const program = { len: filter.length / 8, filter };
  seccompCall(number, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, program);
}

const capsetCall = call<[Data, Data]>('capset', ['void *', 'void *'], () => '');

/**
 * Sets the permitted and effective capabilities of the calling thread, and clears the inheritable
 * ones.
 */
export function setCapabilities(numbers: readonly number[]): void {
  const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
  const header = Buffer.alloc(8);
  header.writeUInt32LE(LINUX_CAPABILITY_VERSION_3);
  const sets = Buffer.alloc(24);
  for (const number of numbers) {
    const at = number < 32 ? 0 : 12;
    const bit = 2 ** (number % 32);
    for (const offset of [at, at + 4]) sets.writeUInt32LE(sets.readUInt32LE(offset) + bit, offset);
  }
  capsetCall(new Data(header), new Data(sets));
}

const getLimitCall = call<[number, Data]>('getrlimit', ['int', 'void *'], (kind) => String(kind));
const setLimitCall = call<[number, Data]>('setrlimit', ['int', 'void *'], (kind) => String(kind));

/** Sets a resource limit, or the maximum that this process may have. */
export function setLimit(kind: number, soft: bigint, hard: bigint): void {
  const limit = Buffer.alloc(16);
  getLimitCall(kind, new Data(limit));
  const most = limit.readBigUInt64LE(8);
  limit.writeBigUInt64LE(least(soft, most), 0);
  limit.writeBigUInt64LE(least(hard, most), 8);
  setLimitCall(kind, new Data(limit));
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

const socketCall = call<[number, number, number]>('socket', ['int', 'int', 'int'], () => '');
const ioctlCall = call<[number, number, Data]>('ioctl', ['int', 'ulong', 'void *'], (_, request) =>
  request.toString(16),
);
const closeCall = call<[number]>('close', ['int'], () => '');

/** ioctl(2) */
export function ioctl(descriptor: number, request: number, argument: Buffer): void {
  ioctlCall(descriptor, request, new Data(argument));
}

/** Brings the loopback interface of the calling process's network namespace up. */
export function bringLoopbackUp(): void {
  const [AF_INET, SOCK_DGRAM, SIOCSIFFLAGS, IFF_UP] = [2, 2, 0x8914, 1];
  const socket = socketCall(AF_INET, SOCK_DGRAM, 0);
  const request = Buffer.alloc(40);
  request.write('lo');
  request.writeUInt16LE(IFF_UP, 16);
  ioctl(socket, SIOCSIFFLAGS, request);
  closeCall(socket);
}

const signalCall = library.func('signal', 'void *', ['int', 'void *']) as (
  signal: number,
  handler: null,
) => unknown;

/**
 * Resets every signal to its default action: an ignored one would be ignored by the next program
 * too.
 */
export function defaultSignals(): void {
  for (let signal = 1; signal <= 64; signal += 1) signalCall(signal, null);
}

const execveCall = library.func('execve', 'int', [
  'const char *',
  'const char **',
  'const char **',
]) as (path: string, argv: (string | null)[], env: (string | null)[]) => number;

/** Replaces this process by another program (execve(2)). Returns only on failure. */
export function execute(
  path: string,
  argv: readonly string[],
  env: readonly string[],
): SystemCallError {
  execveCall(path, [...argv, null], [...env, null]);
  return new SystemCallError('execve', path, koffi.errno());
}

const exitCall = library.func('_exit', 'void', ['int']) as (status: number) => unknown;

/**
 * Exits at once (_exit(2)). Node's exit first closes an io_uring, and crashes if a filter forbids
 * that.
 */
export function exitNow(status: number): never {
  exitCall(status);
  throw new Error('unreachable');
}

const fcntlCall = library.func('int fcntl(int descriptor, int command, ...)') as (
  descriptor: number,
  command: number,
  type: 'int',
  value: number,
) => number;

/** Sets whether a descriptor stays open in the next program. */
export function keepOpen(descriptor: number, keep: boolean): void {
  const [F_SETFD, FD_CLOEXEC] = [2, 1];
  if (fcntlCall(descriptor, F_SETFD, 'int', keep ? 0 : FD_CLOEXEC) < 0)
    throw new SystemCallError('fcntl', String(descriptor), koffi.errno());
}

/** Makes reads and writes of an open file block, for all processes that share it. */
export function makeBlocking(descriptor: number): void {
  const [F_GETFL, F_SETFL, O_NONBLOCK] = [3, 4, 0o4000];
  const flags = fcntlCall(descriptor, F_GETFL, 'int', 0);
  if (flags < 0 || fcntlCall(descriptor, F_SETFL, 'int', flags & ~O_NONBLOCK) < 0)
    throw new SystemCallError('fcntl', String(descriptor), koffi.errno());
}

const pipeCall = call<[Data, number]>('pipe2', ['void *', 'int'], () => '');

/** Makes a pipe. Node's own are sockets, which cannot be opened as /dev/stdout. */
export function makePipe(): { readonly read: number; readonly write: number } {
  const O_CLOEXEC = 0o2000000;
  const ends = Buffer.alloc(8);
  pipeCall(new Data(ends), O_CLOEXEC);
  return { read: ends.readInt32LE(0), write: ends.readInt32LE(4) };
}
