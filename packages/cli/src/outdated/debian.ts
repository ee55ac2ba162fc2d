import { LktError } from '@lkt/core';
import type { KernelUpdateOptions } from '@lkt/image';
import type { LockUpdates, Package, SourceUpdate, Workspace } from '@lkt/pkg';
import { lockUpdates } from '../session/lock-updates.ts';

/** Something with a command that updates it. */
export interface Updatable {
  readonly update: string;
}

/** Newer versions in Debian's archive. */
export interface DebianUpdates {
  readonly locks: readonly (LockUpdates & Updatable)[];
  /** The kernel's source in the series that build.yml pins. */
  readonly kernel: readonly (SourceUpdate & Updatable)[];
}

/** Lists locked Debian packages and kernel sources that have newer versions. Writes nothing. */
export async function debianUpdates(
  workspace: Workspace,
  packages: readonly Package[],
  options: KernelUpdateOptions,
): Promise<DebianUpdates> {
  const { hasSource, lockedPackages } = await import('@lkt/pkg');
  const found = await lockUpdates(workspace, lockedPackages(packages), options);
  const kernel: (SourceUpdate & Updatable)[] = [];
  const pinned = new Set<Package>();
  for (const item of packages.filter((one) => hasSource(one, 'linux'))) {
    const source = await pinnedKernel(workspace, item, options);
    if (source === undefined) continue;
    pinned.add(item);
    const update = `lkt kernel update ${workspace.displayPath(item.dir)}`;
    if (source.to !== undefined) kernel.push({ ...source, update });
  }
  const locks = found.flatMap((lock) => {
    const item = workspace.packages.get(lock.package);
    // Another command updates a source that build.yml pins.
    const isPinned = item !== undefined && pinned.has(item);
    const updates = lock.updates.filter(({ name }) => !(isPinned && name === 'src:linux'));
    const target = item === undefined ? '--all' : workspace.displayPath(item.dir);
    const update = `lkt pkg lock --update ${target}`;
    return updates.length === 0 ? [] : [{ ...lock, updates, update }];
  });
  return { locks, kernel };
}

/**
 * Returns the kernel's source that build.yml pins; undefined if it pins none. Warns of a newer one
 * that cannot be downloaded.
 */
async function pinnedKernel(
  workspace: Workspace,
  item: Package,
  options: KernelUpdateOptions,
): Promise<SourceUpdate | undefined> {
  const { findKernelUpdate } = await import('@lkt/image');
  try {
    const found = await findKernelUpdate(workspace, item, options);
    const [newest] = found.notServed;
    if (newest !== undefined)
      options.reporter.emit({
        kind: 'warning',
        text: `${found.file}: the archive lists ${found.source} ${newest}, but does not serve its files`,
      });
    return found;
  } catch (error) {
    // Then only the lock has a version.
    if (error instanceof LktError && error.code === 'CONFIG_INVALID') return undefined;
    throw error;
  }
}
