/** COPY: copies files of the context or of a file system into another file system. */
import { constants, copyFileSync, linkSync, type Stats, symlinkSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { Digester, isErrno, LktError } from '@lkt/core';
import { fromRaw, type RawPath } from '@lkt/oci';
import type { Context, ContextNode } from '../context/context.ts';
import type { CopyPlan } from '@lkt/dockerfile';
import { SystemCallError } from '../system/c-library.ts';
import type { CopyTarget } from './copy-target.ts';
import type { HostTree } from './host-tree.ts';
import { contentOf } from '../layers/layer-entries.ts';
import { attributesAt, deviceNumbers, linkAt, mtimeOf, pathAt, typeOf } from '../system/raw-fs.ts';
import { makeNode } from '../system/special-files.ts';

/**
 * Copies from the context: modes are normalized, times are SOURCE_DATE_EPOCH, and the owner is root
 * unless --chown is given.
 */
export async function copyContext(to: CopyTarget, context: Context, plan: CopyPlan): Promise<void> {
  to.makeDirectories(plan);
  for (const { source, target, type } of plan.entries) {
    to.signal?.throwIfAborted();
    const node = context.node(source);
    if (node === undefined) throw new Error(`${source} left the context`);
    if (type === 'file') {
      await copyContextFile(to, context, source, node, target);
      continue;
    }
    const path = to.place(target, type === 'directory');
    if (type === 'symlink')
      symlinkSync(Buffer.from(node.link ?? '', 'latin1'), pathAt(to.root, path));
    to.finish(path, type, { mode: node.mode });
  }
  await to.writeFiles(plan);
  to.setTimes();
}

async function copyContextFile(
  to: CopyTarget,
  context: Context,
  source: RawPath,
  node: ContextNode,
  target: RawPath,
): Promise<void> {
  const expected = await context.contentDigest(source, to.signal);
  const digester = new Digester();
  try {
    const content = contentOf(node.source, '', node.size);
    await to.writeFile(target, { content, digester, mode: node.mode });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR', 'ELOOP'))
      throw changedWhileCopied(source);
    throw error;
  }
  if (digester.digest() !== expected) throw changedWhileCopied(source);
}

/**
 * Copies from a tree: modes, owners, times and extended attributes are kept unless flags override
 * them.
 */
export async function copyTree(to: CopyTarget, tree: HostTree, plan: CopyPlan): Promise<void> {
  to.makeDirectories(plan);
  const links = new Map<string, RawPath>();
  for (const { source, target, type, isNamed } of plan.entries) {
    to.signal?.throwIfAborted();
    const stats = tree.stats(source);
    const path = to.place(target, type === 'directory');
    if (type === 'directory' && stats?.isDirectory() !== true) {
      // --parents turns a symlink in the path into a directory.
      to.finish(path, type, { mode: 0o755 });
      continue;
    }
    if (stats === undefined || typeOf(stats) !== type)
      throw new Error(`${source} is not what it was in the plan`);
    const isLinked = type !== 'directory' && stats.nlink > 1 && isNamed !== true;
    const inode = `${stats.dev}:${stats.ino}`;
    const first = isLinked ? links.get(inode) : undefined;
    if (first !== undefined) {
      linkSync(pathAt(to.root, first), pathAt(to.root, path));
      continue;
    }
    if (isLinked) links.set(inode, path);
    if (type !== 'directory') await copyNode(tree, source, pathAt(to.root, path), stats);
    const xattrs = attributesAt(tree.root, source);
    to.finish(path, type, {
      uid: stats.uid,
      gid: stats.gid,
      mode: stats.mode & 0o7777,
      mtime: mtimeOf(stats),
      xattrs,
    });
  }
  await to.writeFiles(plan);
  to.setTimes();
}

/** Returns the error for a file that changed between planning and copying. */
export function changedWhileCopied(source: RawPath): LktError {
  return new LktError('IO_FAILED', `${fromRaw(source)} was changed while it was copied`, {
    fix: 'build again',
  });
}

async function copyNode(
  tree: HostTree,
  source: RawPath,
  file: Buffer,
  stats: Stats,
): Promise<void> {
  if (stats.isFile()) {
    const from = pathAt(tree.root, source);
    if (stats.size > LARGE) await copyFile(from, file, constants.COPYFILE_FICLONE);
    else copyFileSync(from, file, constants.COPYFILE_FICLONE);
  } else if (stats.isSymbolicLink()) {
    symlinkSync(Buffer.from(linkAt(tree.root, source), 'latin1'), file);
  } else {
    const { devMajor, devMinor } = deviceNumbers(stats.rdev);
    const type = stats.isFIFO() ? 'fifo' : stats.isBlockDevice() ? 'block' : 'char';
    try {
      makeNode(file, type, 0o600, devMajor, devMinor);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== 'EPERM') throw error;
      throw new LktError('HOST_UNSUPPORTED', `/${fromRaw(source)} is a device`, {
        cause: error,
        fix: 'build as root: others cannot make devices',
      });
    }
  }
}

/** Larger files are copied asynchronously. */
const LARGE = 1 << 20;
