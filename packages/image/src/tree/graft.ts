import { LktError } from '@lkt/core';
import { fromRaw, type RawPath, SOURCE_DATE_EPOCH, type TreeNode } from '@lkt/oci';
import type { MemoryEntries } from './memory.ts';
import type { TreeEntry } from './part.ts';

/** What an image brings along that is the container engine's business, not its own. */
const DROPPED: ReadonlySet<RawPath> = new Set([
  '.dockerenv',
  'Dockerfile',
  'dev/console',
  'dev/pts',
  'dev/shm',
  'etc/hostname',
]);

/** Directories every root file system has, as root's with mode 0755 whatever the image says. */
export const DIRECTORIES: readonly RawPath[] = ['dev', 'dev/pts', 'dev/shm', 'etc', 'proc', 'sys'];

const HOSTS = `127.0.0.1       localhost
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
`;

/**
 * The entries of an image below `prefix`, without what is the engine's business, times not after SOURCE_DATE_EPOCH.
 * What `defaultEntries` gives is left out too.
 */
export function graftImage(
  nodes: readonly TreeNode[],
  prefix: RawPath,
  label: string,
): readonly TreeEntry[] {
  const grafted: TreeEntry[] = [];
  for (const { path, inode } of inodesOf(nodes)) {
    if (path === '' || DROPPED.has(path)) continue;
    if (path === 'etc/hosts' || path === 'etc/resolv.conf') continue;
    if (DIRECTORIES.includes(path)) {
      if (inode.type === 'directory') continue;
      throw new LktError(
        'TREE_CONFLICT',
        `/${fromRaw(path)} is a ${inode.type} in ${label}; it must be a directory`,
      );
    }
    grafted.push(graftNode(path, inode, prefix));
  }
  return grafted;
}

/**
 * What every root file system has.
 * @param resolver where name resolution is configured: in a container an empty file, else a link to init's
 */
export function defaultEntries(
  into: MemoryEntries,
  prefix: RawPath,
  resolver: 'file' | 'link',
  hasMtab: boolean,
): void {
  for (const path of DIRECTORIES) into.directory(join(prefix, path));
  into.file(join(prefix, 'etc/hosts'), HOSTS);
  if (resolver === 'file') {
    into.file(join(prefix, 'etc/resolv.conf'), '\n# no resolv.conf configured\n');
  } else {
    into.symlink(join(prefix, 'etc/resolv.conf'), '/run/resolvconf/resolv.conf');
  }
  if (!hasMtab) into.symlink(join(prefix, 'etc/mtab'), '/proc/mounts');
}

/** Every path of an image with the file, directory or other thing that stands there, hard links followed. */
export function* inodesOf(
  nodes: readonly TreeNode[],
): Generator<{ readonly path: RawPath; readonly inode: TreeNode }> {
  const targets = new Set(nodes.flatMap(({ type, link }) => (type === 'hardlink' ? [link] : [])));
  const byPath = new Map<RawPath | undefined, TreeNode>();
  for (const node of nodes) if (targets.has(node.path)) byPath.set(node.path, node);
  for (const node of nodes) {
    const inode = node.type === 'hardlink' ? byPath.get(node.link) : node;
    if (inode === undefined || inode.type === 'hardlink')
      throw new Error(`a hard link to nothing: ${node.path}`);
    yield { path: node.path, inode };
  }
}

/** The entry of an inode of an image at `path` below `prefix`, with the path in the image as the name of its content. */
export function graftNode(path: RawPath, inode: TreeNode, prefix: RawPath): TreeEntry {
  const { type, uid, gid, mtime, size, link, devMajor, devMinor, xattrs } = inode;
  if (type === 'hardlink') throw new Error(`not an inode: ${path}`);
  return {
    path: join(prefix, path),
    type,
    mode: type === 'symlink' ? 0o777 : inode.mode,
    uid,
    gid,
    mtime: Math.max(0, Math.min(mtime, SOURCE_DATE_EPOCH)),
    size: type === 'file' ? size : 0,
    link: type === 'symlink' ? (link ?? '') : undefined,
    devMajor,
    devMinor,
    xattrs,
    content: type === 'file' ? inode.path : undefined,
  };
}

function join(prefix: RawPath, path: RawPath): RawPath {
  return prefix === '' ? path : `${prefix}/${path}`;
}
