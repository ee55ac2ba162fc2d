import { baseName, type RawPath, type TreeNode } from '@lkt/oci';

/** A violation of a rule by a file of an image. */
export interface Finding {
  readonly rule: RootfsRule;
  readonly path: string;
  /** The violation, as a clause with the file as subject. */
  readonly what: string;
}

/** Ids of the rules for files. */
export const ROOTFS_RULES = [
  'setuid', // runs with other rights than its user's
  'world-writable', // any user can change it
  'package-manager', // allows changes to the software of a running system
  'shell', // only if shells are forbidden
  'secret', // a private key, a password hash, or an empty password
  'certificate', // an expired certificate
  'elf', // a malformed program or library
] as const;

/** Name of a rule for the files of an image. */
export type RootfsRule = (typeof ROOTFS_RULES)[number];

const PACKAGE_MANAGERS: ReadonlySet<string> = new Set(
  (
    'apk apt apt-get aptitude dnf dpkg microdnf opkg pacman portage rpm tdnf yum zypper ' +
    'nix-env pip pip3 npm gem'
  ).split(' '),
);

const SHELLS: ReadonlySet<string> = new Set(
  'ash bash busybox csh dash fish hush ksh mksh sh tcsh toybox zsh'.split(' '),
);

const SETUID = 0o4000;
const SETGID = 0o2000;
const STICKY = 0o1000;
const WRITABLE_BY_ALL = 0o002;
const EXECUTABLE_BY_ANY = 0o111;

/**
 * Returns the findings about an entry, without its content. Each hard link counts, since each is a
 * name to run.
 */
export function* entryFindings(
  node: TreeNode,
  show: (path: RawPath) => string,
  { shells = true }: { readonly shells?: boolean } = {},
): Generator<Finding> {
  const path = show(node.path);
  const isFile = node.type === 'file' || node.type === 'hardlink';
  if (isFile && (node.mode & SETUID) !== 0)
    yield { rule: 'setuid', path, what: `runs as user ${node.uid}` };
  if (isFile && (node.mode & SETGID) !== 0 && (node.mode & EXECUTABLE_BY_ANY) !== 0)
    yield { rule: 'setuid', path, what: `runs as group ${node.gid}` };
  if (node.xattrs?.has('security.capability') === true)
    yield { rule: 'setuid', path, what: 'has file capabilities' };
  if (isWritable(node)) yield { rule: 'world-writable', path, what: 'is writable by any user' };
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

/** Directories of programs. */
const PROGRAMS = /(?:^|\/)s?bin\/[^/]+$/;

function isProgram({ path, type, mode }: TreeNode): boolean {
  return PROGRAMS.test(path) && (type === 'symlink' || (mode & EXECUTABLE_BY_ANY) !== 0);
}
