import koffi from 'koffi';

/**
 * The system calls that Node does not offer. Loading this file loads koffi, so only the worker and the init of a step
 * do. Names and paths that are not text are buffers.
 */
export class SystemCallError extends Error {
  override readonly name: string = 'SystemCallError';
  readonly code: string;
  readonly syscall: string;

  constructor(syscall: string, subject: string, errno: number) {
    const code = CODES.get(errno) ?? `errno ${errno}`;
    super(`${syscall} ${subject}: ${code}`);
    this.code = code;
    this.syscall = syscall;
  }
}

const CODES: ReadonlyMap<number, string> = new Map(
  Object.entries(koffi.os.errno).map(([name, number]) => [Number(number), name]),
);

type Path = string | Buffer;

/** Flags of mount(2). */
export const MS = {
  rdonly: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  remount: 32,
  bind: 4096,
  rec: 16384,
  private: 262144,
} as const;

const library = koffi.load(null);
/** A path or another string: text goes as UTF-8, a buffer as it is; both end in a NUL. */
const TEXT = 'const void *';

function call<Arguments extends readonly unknown[]>(
  name: string,
  types: readonly string[],
  subject: (...values: Arguments) => string,
  // A function that returns int leaves the other half of the register as it is.
  result: 'int' | 'long' = 'int',
): (...values: Arguments) => number {
  const native = library.func(name, result, [...types]) as (...values: unknown[]) => number;
  return (...values) => {
    const returned = native(...values.map(argument));
    if (returned < 0) throw new SystemCallError(name, subject(...values), koffi.errno());
    return returned;
  };
}

/** Bytes that go to a call as they are, without a NUL. */
class Data {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

function argument(value: unknown): unknown {
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  if (value instanceof Data) return value.bytes;
  if (Buffer.isBuffer(value)) return Buffer.concat([value, Buffer.of(0)]);
  return value;
}

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

const umountCall = call<[string, number]>('umount2', [TEXT, 'int'], (target) => target);

/** Takes a mount out of the tree now; it ends when its last user does. */
export function detach(target: string): void {
  umountCall(target, 2);
}

export const pivotRoot = call<[string, string]>('pivot_root', [TEXT, TEXT], (root) => root) as (
  root: string,
  old: string,
) => number;

const hostnameCall = call<[string, number]>('sethostname', [TEXT, 'size_t'], (name) => name);
const domainCall = call<[string, number]>('setdomainname', [TEXT, 'size_t'], (name) => name);

export function setHostname(name: string): void {
  hostnameCall(name, Buffer.byteLength(name));
  domainCall('', 0);
}

export const prctl = call<[number, number, number, number, number]>(
  'prctl',
  ['int', 'ulong', 'ulong', 'ulong', 'ulong'],
  (option) => String(option),
) as (option: number, a: number, b: number, c: number, d: number) => number;

const capsetCall = call<[Data, Data]>('capset', ['void *', 'void *'], () => '');

/** Makes these the permitted and effective capabilities of the calling thread, and nothing inheritable. */
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

/** Sets a resource limit, or as much of it as this process may have. */
export function setLimit(kind: number, soft: bigint, hard: bigint): void {
  const limit = Buffer.alloc(16);
  getLimitCall(kind, new Data(limit));
  const most = limit.readBigUInt64LE(8);
  const lower = (a: bigint, b: bigint): bigint => (a < b ? a : b);
  limit.writeBigUInt64LE(lower(soft, most), 0);
  limit.writeBigUInt64LE(lower(hard, most), 8);
  setLimitCall(kind, new Data(limit));
}

const socketCall = call<[number, number, number]>('socket', ['int', 'int', 'int'], () => '');
const ioctlCall = call<[number, number, Data]>('ioctl', ['int', 'ulong', 'void *'], () => '');
const closeCall = call<[number]>('close', ['int'], () => '');

/** Brings the loopback interface of the calling process's network namespace up. */
export function bringLoopbackUp(): void {
  const [AF_INET, SOCK_DGRAM, SIOCSIFFLAGS, IFF_UP] = [2, 2, 0x8914, 1];
  const socket = socketCall(AF_INET, SOCK_DGRAM, 0);
  const request = Buffer.alloc(40);
  request.write('lo');
  request.writeUInt16LE(IFF_UP, 16);
  ioctlCall(socket, SIOCSIFFLAGS, new Data(request));
  closeCall(socket);
}

const mknodCall = call<[Path, number, number]>('mknod', [TEXT, 'uint', 'uint64'], (path) =>
  String(path),
);

export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;

export function makeNode(path: Path, mode: number, major = 0, minor = 0): void {
  // makedev(3)
  const low = ((major & 0xfff) * 2 ** 8 + (minor & 0xff)) >>> 0;
  mknodCall(path, mode, low + (minor & 0xfff00) * 2 ** 12);
}

const syncfsCall = call<[number]>('syncfs', ['int'], () => '');

/** Waits until what was written to the file system of an open file is on disk. */
export function syncFileSystem(fd: number): void {
  syncfsCall(fd);
}

const listCall = call<[Path, Data, number]>(
  'llistxattr',
  [TEXT, 'void *', 'size_t'],
  (path) => String(path),
  'long',
);
const getCall = call<[Path, string, Data, number]>(
  'lgetxattr',
  [TEXT, TEXT, 'void *', 'size_t'],
  (path, name) => `${name} of ${String(path)}`,
  'long',
);
const setCall = call<[Path, string, Data, number, number]>(
  'lsetxattr',
  [TEXT, TEXT, 'void *', 'size_t', 'int'],
  (path, name) => `${name} of ${String(path)}`,
);
const removeCall = call<[Path, string]>(
  'lremovexattr',
  [TEXT, TEXT],
  (path, name) => `${name} of ${String(path)}`,
);

/** Linux has no longer list and no longer value (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
const scratch = Buffer.alloc(65_536);

/** Names of the extended attributes of a path; a link is not followed. */
export function listAttributes(path: Path): readonly string[] {
  let length: number;
  try {
    length = listCall(path, new Data(scratch), scratch.length);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'EOPNOTSUPP') return [];
    throw error;
  }
  if (length === 0) return [];
  return scratch.toString('utf8', 0, length - 1).split('\0');
}

export function getAttribute(path: Path, name: string): Buffer {
  const length = getCall(path, name, new Data(scratch), scratch.length);
  return Buffer.from(scratch.subarray(0, length));
}

export function setAttribute(path: Path, name: string, value: Uint8Array): void {
  setCall(path, name, new Data(Buffer.from(value)), value.length, 0);
}

export function removeAttribute(path: Path, name: string): void {
  removeCall(path, name);
}

const signalCall = library.func('signal', 'void *', ['int', 'void *']) as (
  signal: number,
  handler: null,
) => unknown;

/** Gives every signal the meaning it has for a new program: what this one ignores, its successor would ignore too. */
export function defaultSignals(): void {
  for (let signal = 1; signal <= 64; signal += 1) signalCall(signal, null);
}

/** dup2(2) */
export const duplicate = call<[number, number]>('dup2', ['int', 'int'], () => '') as (
  from: number,
  to: number,
) => number;

const execveCall = library.func('execve', 'int', [
  'const char *',
  'const char **',
  'const char **',
]) as (path: string, argv: (string | null)[], env: (string | null)[]) => number;

/** execve(2): this process becomes another program. Returns only when it cannot. */
export function execute(
  path: string,
  argv: readonly string[],
  env: readonly string[],
): SystemCallError {
  execveCall(path, [...argv, null], [...env, null]);
  return new SystemCallError('execve', path, koffi.errno());
}

const fcntlCall = library.func('int fcntl(int descriptor, int command, ...)') as (
  descriptor: number,
  command: number,
  type: 'int',
  value: number,
) => number;

/** Whether a descriptor stays open when this process becomes another program. */
export function keepOpen(descriptor: number, keep: boolean): void {
  const [F_SETFD, FD_CLOEXEC] = [2, 1];
  if (fcntlCall(descriptor, F_SETFD, 'int', keep ? 0 : FD_CLOEXEC) < 0)
    throw new SystemCallError('fcntl', String(descriptor), koffi.errno());
}

const pipeCall = call<[Data, number]>('pipe2', ['void *', 'int'], () => '');

/** A pipe: Node's own are sockets, and a socket cannot be opened again as /dev/stdout. */
export function makePipe(): { readonly read: number; readonly write: number } {
  const O_CLOEXEC = 0o2000000;
  const ends = Buffer.alloc(8);
  pipeCall(new Data(ends), O_CLOEXEC);
  return { read: ends.readInt32LE(0), write: ends.readInt32LE(4) };
}
