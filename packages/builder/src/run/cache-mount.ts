import { lchownSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { digestHex, digestOf, isErrno, undefinedIf } from '@lkt/core';
import { type RawPath, removeTree } from '@lkt/oci';
import { type CopyEntry, joinPath, type ResolvedMount } from '@lkt/dockerfile';
import { copyTree } from '../copy/copy-files.ts';
import { CopyTarget } from '../copy/copy-target.ts';
import { HostTree } from '../copy/host-tree.ts';
import { type Layers, diffIds } from '../layers/layers.ts';
import type { MountSources } from './mount-sources.ts';

/**
 * Returns the directory of a cache mount, created on first use: empty, or with the content of a
 * stage or image. Each initial content, mode and owner has a directory of its own, as in BuildKit,
 * and each scope: the content of a cache decides what a build produces.
 */
export async function cacheDirectory(
  mount: ResolvedMount,
  from: Layers,
  sources: MountSources,
): Promise<{ readonly name: string; readonly path: string }> {
  const { cacheScope, emptyCaches = false } = sources.job;
  const { id, mode, uid, gid } = mount;
  const begin = from.length > 0 ? diffIds(from) : { mode, uid, gid };
  const name = digestHex(digestOf(JSON.stringify([id, cacheScope ?? null, begin])));
  // Root and other users do not share caches.
  const owner = sources.setup.isRoot ? 'root' : 'user';
  const caches = join(emptyCaches ? sources.temp : sources.work, 'mounts', owner);
  const path = join(caches, name);
  do {
    await mkdir(caches, { recursive: true, mode: 0o700 });
    if (from.length > 0) {
      await fill(path, mount, from, sources);
    } else {
      const made = await mkdir(path, { recursive: true, mode: mount.mode ?? 0o755 });
      if (made !== undefined) lchownSync(path, mount.uid ?? 0, mount.gid ?? 0);
    }
  } while (!(await sources.store.use(path)));
  return { name, path };
}

/**
 * Atomic: the directory exists as a whole or not at all, even if this process is killed or another
 * does the same.
 */
async function fill(
  path: string,
  { position }: ResolvedMount,
  from: Layers,
  { job, signal, mounts }: MountSources,
): Promise<void> {
  const existing = await stat(path).catch(undefinedIf('ENOENT'));
  if (existing !== undefined) return;
  const tree = new HostTree(await mounts.lower(from));
  const made = await mkdtemp(`${path}.new-`);
  try {
    await chmod(made, 0o755);
    const plan = { entries: [...allOf(tree, '')], files: [], directories: [] };
    await copyTree(new CopyTarget(made, { position }, job.file, signal), tree, plan);
    await rename(made, path);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  } finally {
    await removeTree(made);
  }
}

function* allOf(tree: HostTree, directory: RawPath): Generator<CopyEntry> {
  for (const name of tree.names(directory)) {
    const path = joinPath(directory, name);
    const node = tree.node(path);
    if (node === undefined) continue;
    yield { source: path, target: path, type: node.type };
    if (node.type === 'directory') yield* allOf(tree, path);
  }
}
