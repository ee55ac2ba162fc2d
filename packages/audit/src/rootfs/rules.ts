import { baseName, type RawPath, type TreeNode } from '@lkt/oci';

/** Something about a file of an image that should not be. */
export interface Finding {
  readonly rule: RootfsRule;
  readonly path: string;
  /** What it is, in one clause. */
  readonly what: string;
}

export const ROOTFS_RULES = [
  'setuid', // a file gives whoever starts it the rights of another
  'world-writable', // anybody can change it
  'package-manager', // what runs can be changed there, and not only here
  'shell', // only where asked for
  'secret', // a private key, or a password, or none needed
  'certificate', // no longer valid
  'elf', // a program or library that breaks the format
] as const;

export type RootfsRule = (typeof ROOTFS_RULES)[number];

const PACKAGE_MANAGERS: ReadonlySet<string> = new Set([
  'apk',
  'apt',
  'apt-get',
  'aptitude',
  'dnf',
  'dpkg',
  'microdnf',
  'opkg',
  'pacman',
  'portage',
  'rpm',
  'tdnf',
  'yum',
  'zypper',
  'nix-env',
  'pip',
  'pip3',
  'npm',
  'gem',
]);

const SHELLS: ReadonlySet<string> = new Set([
  'ash',
  'bash',
  'busybox',
  'csh',
  'dash',
  'fish',
  'hush',
  'ksh',
  'mksh',
  'sh',
  'tcsh',
  'toybox',
  'zsh',
]);

const SETUID = 0o4000;
const SETGID = 0o2000;
const STICKY = 0o1000;
const WRITABLE_BY_ALL = 0o002;
const RUN_BY_ANYBODY = 0o111;

/** What the entries of an image say, without their contents. Hard links count, since each is a name to call it by. */
export function* entryFindings(
  node: TreeNode,
  show: (path: RawPath) => string,
  { shells = true }: { readonly shells?: boolean } = {},
): Generator<Finding> {
  const path = show(node.path);
  const isFile = node.type === 'file' || node.type === 'hardlink';
  if (isFile && (node.mode & SETUID) !== 0)
    yield { rule: 'setuid', path, what: `runs with the rights of user ${node.uid}` };
  if (isFile && (node.mode & SETGID) !== 0 && (node.mode & RUN_BY_ANYBODY) !== 0)
    yield { rule: 'setuid', path, what: `runs with the rights of group ${node.gid}` };
  if (node.xattrs?.has('security.capability') === true)
    yield { rule: 'setuid', path, what: 'runs with capabilities of its own' };
  if (isWritable(node)) yield { rule: 'world-writable', path, what: 'can be changed by anybody' };
  if ((isFile || node.type === 'symlink') && isProgram(node)) {
    const name = baseName(node.path);
    if (PACKAGE_MANAGERS.has(name))
      yield { rule: 'package-manager', path, what: `is the package manager ${name}` };
    if (!shells && SHELLS.has(name)) yield { rule: 'shell', path, what: 'is a shell' };
  }
}

function isWritable({ type, mode }: TreeNode): boolean {
  if (type === 'symlink' || type === 'char' || (mode & WRITABLE_BY_ALL) === 0) return false;
  return type !== 'directory' || (mode & STICKY) === 0;
}

/** Directories that programs are looked for in. */
const PROGRAMS = /(?:^|\/)s?bin\/[^/]+$/;

function isProgram({ path, type, mode }: TreeNode): boolean {
  return PROGRAMS.test(path) && (type === 'symlink' || (mode & RUN_BY_ANYBODY) !== 0);
}
