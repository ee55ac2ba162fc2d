import { type Digest, Digester, digestOf, digestOfStream } from '@lkt/core';
import { compareBytes, type RawPath, SOURCE_DATE_EPOCH } from '@lkt/oci';
import type { CopyPlan } from '@lkt/dockerfile';
import type { HostTree } from './host-tree.ts';
import { contentOf } from '../layers/layer-entries.ts';
import { attributesAt, linkAt, mtimeOf } from '../system/raw-fs.ts';

/**
 * Returns one digest over everything that a COPY from a selection can bring into a layer: paths,
 * types, modes, owners, times, extended attributes, contents, and which files are hard links of
 * each other.
 */
export async function selectionDigest(
  tree: HostTree,
  plan: CopyPlan,
  signal?: AbortSignal,
): Promise<Digest> {
  const digester = new Digester();
  const add = (line: readonly unknown[]): void => {
    digester.update(Buffer.from(`${JSON.stringify(line)}\n`));
  };
  const inodes = new Map<number, RawPath>();
  for (const directory of plan.directories) add(['make', directory]);
  for (const { source, target, type, isNamed = false } of plan.entries) {
    signal?.throwIfAborted();
    const stats = tree.stats(source);
    if (type === 'directory' && stats?.isDirectory() !== true) {
      // As `copyTree` creates it.
      add(['plain', target]);
      continue;
    }
    if (stats === undefined) throw new Error(`${source} was removed from a read-only file system`);
    const { mode, uid, gid, rdev, ino, nlink } = stats;
    const time = Math.min(mtimeOf(stats), SOURCE_DATE_EPOCH);
    const attributes = [...(attributesAt(tree.root, source) ?? [])].map(([name, value]) => [
      name,
      Buffer.from(value).toString('hex'),
    ]);
    add([target, type, mode, uid, gid, time, rdev, attributes]);
    if (type === 'symlink') add([linkAt(tree.root, source)]);
    if (type !== 'file') continue;
    const isLinked = nlink > 1 && !isNamed;
    const first = isLinked ? inodes.get(ino) : undefined;
    if (isLinked && first === undefined) inodes.set(ino, target);
    add([first ?? (await digestOfStream(contentOf(tree.root, source, stats.size)))]);
  }
  const files = plan.files.toSorted((a, b) => compareBytes(a.target, b.target));
  for (const { target, content } of files) add(['inline', target, digestOf(content)]);
  return digester.digest();
}
