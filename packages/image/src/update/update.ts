import {
  findLockUpdates,
  type ForeignImages,
  foreignUsers,
  isPinnedSource,
  lockedPackages,
  lockPath,
  type LockUpdates,
  type Package,
  type PinChange,
  pinWorkspace,
  type ResolvedLock,
  resolvePackage,
  type SourceUpdate,
  updatesLeft,
  withDependents,
  type Workspace,
  writeLock,
} from '@lkt/pkg';
import type { AdvisoryIndex } from '@lkt/vulns';
import { type ConfigFile, loadConfig, type LoadedConfig } from '../config/load-config.ts';
import {
  findKernelUpdate,
  type KernelUpdateOptions,
  type UpdatedKernel,
  updateKernel,
} from '../kernel-update.ts';
import { otherPins, wantedFrom, writeConfigPins } from '../pins/config-pins.ts';
import { once, pinnedFiles } from '../pins/pin.ts';
import { verifiedTools } from '../pins/verified-tools.ts';
import type { TrustOptions } from '../trust/check-images.ts';
import { SavedFiles } from './saved-files.ts';
import { describeChanges, type UpdatedPackage } from './updated-packages.ts';

/** Targets and limits of `lkt update`. */
export interface UpdateOptions extends KernelUpdateOptions {
  /** Image configs to pin. */
  readonly configs: readonly ConfigFile[];
  /** Values of the configs' variables. */
  readonly set?: ReadonlyMap<string, string>;
  /** Update only locks with security updates, and no external images. */
  readonly isSecurityOnly: boolean;
  /** Write nothing. */
  readonly isDryRun: boolean;
  /** Reports whether the lock or the source of a package must stay. */
  readonly isExcluded: (item: Package) => boolean;
  /** Resolves a tag in its registry. Without it external images stay. */
  readonly resolveTag?: ForeignImages['resolveTag'] | undefined;
  /**
   * Policies for the images of the configs, with those of the configs. Without them, only those of
   * the build options apply.
   */
  readonly trust?: TrustOptions;
  /** Names the fixed vulnerabilities, beside the changelogs. */
  readonly advisories?: AdvisoryIndex | undefined;
  /** Runs after the build; if it fails, the update is undone. */
  readonly test?: () => Promise<void>;
  /** Reads the workspace again after a change. */
  readonly reopen: () => Promise<Workspace>;
}

/** A summary of an update, for review. */
export interface UpdateReport {
  readonly isDryRun: boolean;
  readonly packages: readonly UpdatedPackage[];
  /** The kernel sources that have newer versions. */
  readonly kernel: readonly (SourceUpdate | UpdatedKernel)[];
  /** Names of the packages whose inputs changed. They were built, except in a dry run. */
  readonly affected: readonly string[];
  /** References written into Dockerfiles and image configs; none in a dry run. */
  readonly pins: readonly PinChange[];
  /** Image configs whose references changed, before and after. */
  readonly configs: readonly { readonly before: ConfigFile; readonly after: ConfigFile }[];
  /** Newer versions that were left: of excluded packages, or held back by build.yml. */
  readonly left: readonly LockUpdates[];
}

/**
 * Updates the checkout to the newest versions in Debian's archive: locks, the Linux source, and the
 * pins of all packages that depend on them. Builds these packages. All locks are resolved before
 * the first is written; if anything fails later, all files are restored.
 * @throws LktError like `findLockUpdates`, `lockPackage`, `updateKernel` and `pin`;
 * SIGNATURE_INVALID for an image that `trust` refuses
 */
export async function update(workspace: Workspace, options: UpdateOptions): Promise<UpdateReport> {
  const { isSecurityOnly, isDryRun, isExcluded, set } = options;
  const loaded = await Array.fromAsync(options.configs, async (file) =>
    loadConfig([file], { set }),
  );
  const items = lockedPackages(workspace.all());
  const available = await findLockUpdates(workspace, items, options);
  const wanted = available.filter(
    (lock) => !isSecurityOnly || lock.updates.some(({ isSecurity }) => isSecurity),
  );
  const locks = await resolveLocks(
    workspace,
    items.filter((item) => !isExcluded(item) && wanted.some((lock) => lock.package === item.name)),
    options,
  );
  const kernels = await kernelUpdates(workspace, options);
  const packages = await describeChanges(locks, available, options.store, options.advisories);
  const { resolveTag } = options;
  const foreign =
    isSecurityOnly || resolveTag === undefined
      ? undefined
      : { resolveTag: once(resolveTag), update: true };
  const included = workspace.all().filter((item) => !isExcluded(item));
  const changed = [
    ...locks.map(({ item }) => item),
    ...kernels.map(({ item }) => item),
    ...(foreign === undefined ? [] : await foreignUsers(workspace, included, foreign)),
  ];
  const affected = changed.length === 0 ? [] : await withDependents(workspace, changed);
  const report: UpdateReport = {
    isDryRun,
    packages,
    kernel: kernels.map((kernel) => kernel.update),
    affected: affected.map(({ name }) => name),
    pins: [],
    configs: [],
    left: leftOf(available, locks, kernels, isSecurityOnly),
  };
  if (isDryRun) return report;
  const others = foreign === undefined ? NO_PINS : await otherPins(workspace, loaded, foreign);
  const { trust } = options;
  const { requireTrusted } = await verifiedTools(workspace, { loaded, others, trust }, options);
  const tools = { ...options, requireTrusted };
  const targets = { packages: affected, configs: options.configs, set };
  const saved = await SavedFiles.read([
    ...locks.map(({ path }) => path),
    ...affected.flatMap((item) =>
      item.arches.map((architecture) => lockPath(item, { os: 'linux', architecture })),
    ),
    ...(await pinnedFiles(workspace, targets)),
  ]);
  try {
    return {
      ...report,
      ...(await apply({ locks, kernels, affected, loaded, foreign, others }, tools)),
    };
  } catch (error) {
    const restored = await saved.restore();
    if (restored.length > 0)
      options.reporter.emit({
        kind: 'warning',
        text: `the update failed, so ${restored.length} files were restored; to repair such an update, run lkt pkg lock and lkt pin`,
      });
    throw error;
  }
}

/** Resolves the locks of packages, and downloads their new .debs. Returns those that change. */
async function resolveLocks(
  workspace: Workspace,
  items: readonly Package[],
  options: UpdateOptions,
): Promise<readonly ResolvedLock[]> {
  const { fetchPackages } = await import('@lkt/debian');
  const { store, mirror, reporter, signal } = options;
  const changed: ResolvedLock[] = [];
  for (const item of items)
    for (const lock of await resolvePackage(workspace, item, options)) {
      const { added, removed, changed: replaced } = lock.report;
      const news = [...added, ...replaced.map(({ to }) => to)];
      if (news.length + removed.length === 0) continue;
      const directory = workspace.displayPath(item.dir);
      await fetchPackages({ ...lock.lock, packages: news }, store, mirror, {
        reporter,
        signal,
        directory,
      });
      changed.push(lock);
    }
  return changed;
}

interface KernelToUpdate {
  readonly item: Package;
  readonly update: SourceUpdate;
}

/**
 * Returns the Linux sources that have newer versions in their series; a stable series consists of
 * fixes. For a source without an exact version in build.yml, the lock is updated.
 */
async function kernelUpdates(
  workspace: Workspace,
  options: UpdateOptions,
): Promise<readonly KernelToUpdate[]> {
  const kernels: KernelToUpdate[] = [];
  for (const item of workspace.all()) {
    if (options.isExcluded(item) || !(await isPinnedSource(item, 'linux'))) continue;
    const found = await findKernelUpdate(workspace, item, options);
    const [missing] = found.notServed;
    if (found.to !== undefined) kernels.push({ item, update: found });
    else if (missing !== undefined)
      options.reporter.emit({
        kind: 'warning',
        text: `${found.file}: the archive lists ${found.source} ${missing}, but does not serve its files; ${found.from} stays`,
      });
  }
  return kernels;
}

interface Changes {
  readonly locks: readonly ResolvedLock[];
  readonly kernels: readonly KernelToUpdate[];
  readonly affected: readonly Package[];
  readonly loaded: readonly LoadedConfig[];
  /** Undefined if external images stay. */
  readonly foreign: ForeignImages | undefined;
  /** Pinned references of external images, by the reference as written in configs. */
  readonly others: ReadonlyMap<string, string>;
}

const NO_PINS: ReadonlyMap<string, string> = new Map();

async function apply(
  { locks, kernels, affected, loaded, foreign, others }: Changes,
  options: UpdateOptions,
): Promise<Pick<UpdateReport, 'pins' | 'configs' | 'kernel'>> {
  for (const lock of locks) await writeLock(lock);
  const kernel: UpdatedKernel[] = [];
  for (const { item, update: found } of kernels) {
    const current = await options.reopen();
    const { reopen } = options;
    kernel.push(await updateKernel(current, current.get(item.name), found, reopen, options));
  }
  const now = await options.reopen();
  const targets = affected.map(({ name }) => now.get(name));
  const { changes, references } = await pinWorkspace(now, targets, options, foreign);
  const names = new Set(affected.map(({ name }) => name));
  const pins = new Map([...references].filter(([name]) => names.has(name)));
  const written = await writeConfigPins(loaded, wantedFrom(pins, others));
  if (targets.length + written.changes.length > 0) await options.test?.();
  return {
    pins: [...changes, ...written.changes],
    configs: written.files,
    kernel,
  };
}

/** Returns the updates that no new lock has, and that are wanted. */
function leftOf(
  available: readonly LockUpdates[],
  locks: readonly ResolvedLock[],
  kernels: readonly KernelToUpdate[],
  isSecurityOnly: boolean,
): readonly LockUpdates[] {
  return updatesLeft(available, locks).flatMap((lock) => {
    const updates = lock.updates.filter(
      ({ name, isSecurity }) =>
        (isSecurity || !isSecurityOnly) &&
        !kernels.some(
          ({ item, update: { source } }) => item.name === lock.package && name === `src:${source}`,
        ),
    );
    return updates.length === 0 ? [] : [{ ...lock, updates }];
  });
}
