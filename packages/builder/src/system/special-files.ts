import { call, Data, type Path, SystemCallError, TEXT } from './c-library.ts';

const mknodCall = call<[Path, number, number]>('mknod', [TEXT, 'uint', 'uint64'], (path) =>
  String(path),
);

/** File types of mknod(2). */
const FILE_TYPES = { fifo: 0o010000, char: 0o020000, block: 0o060000 } as const;

/** Makes a fifo or a device. */
export function makeNode(
  path: Path,
  type: keyof typeof FILE_TYPES,
  permissions: number,
  major = 0,
  minor = 0,
): void {
  // makedev(3)
  const low = ((major & 0xfff) * 2 ** 8 + (minor & 0xff)) >>> 0;
  mknodCall(path, FILE_TYPES[type] | permissions, low + (minor & 0xfff00) * 2 ** 12);
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

/** The kernel's maximum size of a list and of a value (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
const scratch = Buffer.alloc(65_536);

/** Returns the names of the extended attributes of a path; does not follow a link. */
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

export const removeAttribute: (path: Path, name: string) => void = call<[Path, string]>(
  'lremovexattr',
  [TEXT, TEXT],
  (path, name) => `${name} of ${String(path)}`,
);
