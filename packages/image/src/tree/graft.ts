import { LktError } from '@lkt/core';
import { fromRaw, joinPath, type RawPath, SOURCE_DATE_EPOCH, type TreeNode } from '@lkt/oci';
import type { MemoryEntries } from './memory.ts';
import type { TreeEntry } from './part.ts';

/** Files that container engines create. */
const DROPPED: ReadonlySet<RawPath> = new Set([
  '.dockerenv',
  'Dockerfile',
  'dev/console',
  'dev/pts',
  'dev/shm',
  'etc/hostname',
]);

/** Directories of every root file system; always owned by root with mode 0755. */
export const DIRECTORIES: readonly RawPath[] = ['dev', 'dev/pts', 'dev/shm', 'etc', 'proc', 'sys'];

const HOSTS = `127.0.0.1       localhost
::1     localhost ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
`;

/**
 * Returns the entries of an image below `prefix`, with times of at most SOURCE_DATE_EPOCH, without
 * files of the container engine and those of `defaultEntries`.
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
 * Adds the entries of every root file system.
 * @param resolver `etc/resolv.conf` is an empty file in containers, else a link to init's
 */
export function defaultEntries(
  into: MemoryEntries,
  prefix: RawPath,
  resolver: 'file' | 'link',
  hasMtab: boolean,
): void {
  for (const path of DIRECTORIES) into.directory(joinPath(prefix, path));
  into.file(joinPath(prefix, 'etc/hosts'), HOSTS);
  if (resolver === 'file') {
    into.file(joinPath(prefix, 'etc/resolv.conf'), '\n# no resolv.conf configured\n');
  } else {
    into.symlink(joinPath(prefix, 'etc/resolv.conf'), '/run/resolvconf/resolv.conf');
  }
  if (!hasMtab) into.symlink(joinPath(prefix, 'etc/mtab'), '/proc/mounts');
}

/** Yields every path of an image with its inode; follows hard links. */
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

/**
 * Returns the entry of an inode at `path` below `prefix`. The path in the image names its content.
 */
export function graftNode(path: RawPath, inode: TreeNode, prefix: RawPath): TreeEntry {
  const { type, uid, gid, mtime, size, link, devMajor, devMinor, xattrs } = inode;
  if (type === 'hardlink') throw new Error(`not an inode: ${path}`);
  return {
    path: joinPath(prefix, path),
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
