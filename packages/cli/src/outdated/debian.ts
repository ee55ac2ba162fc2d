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

/** Lists newer versions of what packages are made of. Writes nothing. */
export async function debianUpdates(
  workspace: Workspace,
  packages: readonly Package[],
  options: KernelUpdateOptions,
): Promise<DebianUpdates> {
  const { hasSource, lockedPackages } = await import('@lkt/pkg');
  const found = await lockUpdates(workspace, lockedPackages(packages), options);
  const kernel: (SourceUpdate & Updatable)[] = [];
  for (const item of packages.filter((one) => hasSource(one, 'linux')))
    kernel.push(...(await newerKernel(workspace, item, options)));
  const locks = found.flatMap((lock) => {
    const item = workspace.packages.get(lock.package);
    // Another command updates a source that build.yml pins.
    const isKernel = kernel.some(({ file }) => file === item?.file.path);
    const updates = lock.updates.filter(({ name }) => !(isKernel && name === 'src:linux'));
    const target = item === undefined ? '--all' : workspace.displayPath(item.dir);
    const update = `lkt pkg lock --update ${target}`;
    return updates.length === 0 ? [] : [{ ...lock, updates, update }];
  });
  return { locks, kernel };
}

async function newerKernel(
  workspace: Workspace,
  item: Package,
  options: KernelUpdateOptions,
): Promise<DebianUpdates['kernel']> {
  const { findKernelUpdate } = await import('@lkt/image');
  try {
    const found = await findKernelUpdate(workspace, item, options);
    for (const version of found.notServed)
      options.reporter.emit({
        kind: 'warning',
        text: `${found.file}: the archive lists ${found.source} ${version}, but does not serve its files`,
      });
    const update = `lkt kernel update ${workspace.displayPath(item.dir)}`;
    return found.to === undefined ? [] : [{ ...found, update }];
  } catch (error) {
    // build.yml pins no version: then only the lock has one.
    if (error instanceof LktError && error.code === 'CONFIG_INVALID') return [];
    throw error;
  }
}
