import { LktError } from '@lkt/core';
import type { ConfigChanges, KernelConfig } from '@lkt/audit';
import { imageFiles } from '@lkt/oci';
import {
  applySourceUpdate,
  type BuildOptions,
  buildPackages,
  type BuiltPackage,
  findSourceUpdate,
  hasSource,
  type LockPackageOptions,
  type Package,
  pinWorkspace,
  type SourceUpdate,
  type Workspace,
} from '@lkt/pkg';

/** The effect of a newer source on one configuration. */
interface UpdatedConfig {
  /** Package and file in its image: `lkt/linux-config:/kernel-config`. */
  readonly name: string;
  /** Undefined if the old source is no longer available. */
  readonly changes: ConfigChanges | undefined;
}

/** A kernel source that was updated, with the configurations that it changed. */
export interface UpdatedKernel extends SourceUpdate {
  readonly configs: readonly UpdatedConfig[];
}

/** Options of updating a kernel: its lock, and the build that checks it. */
export type KernelUpdateOptions = BuildOptions & LockPackageOptions;

const SOURCE = 'linux';
/** Path of a kernel's configuration in an image, or of one of several flavours. */
const CONFIG_PATH = /^(?:[^/]+\/)?kernel-config$/;

/**
 * Returns the package with the Linux source: the named one, or the only one.
 * @throws LktError NOT_FOUND, USAGE_INVALID
 */
export async function kernelSource(
  workspace: Workspace,
  dir: string | undefined,
): Promise<Package> {
  if (dir !== undefined) return workspace.packageAt(dir);
  const [found, another] = workspace.all().filter((item) => hasSource(item, SOURCE));
  if (found === undefined)
    throw new LktError('NOT_FOUND', 'no package of this workspace has the Linux source', {
      fix: 'add to a build.yml: debian: {suite: trixie, sources: [linux (= 6.12.107-1)]}',
    });
  if (another !== undefined)
    throw new LktError('USAGE_INVALID', 'several packages have the Linux source', {
      fix: `name one: lkt kernel update ${workspace.displayPath(found.dir)}`,
    });
  return found;
}

/** @throws LktError what `findSourceUpdate` throws */
export async function findKernelUpdate(
  workspace: Workspace,
  item: Package,
  options: KernelUpdateOptions,
): Promise<SourceUpdate> {
  return findSourceUpdate(workspace, item, SOURCE, options);
}

/**
 * Updates to the newer source: writes build.yml, the lock and the pins of the configuration
 * packages, and compares their configurations.
 * @param reopen reads the workspace again after the update
 * @throws LktError BUILD_FAILED if the new source lacks symbols of the fragments; the update stays,
 * and the log lists them
 */
export async function updateKernel(
  workspace: Workspace,
  item: Package,
  update: SourceUpdate,
  reopen: () => Promise<Workspace>,
  options: KernelUpdateOptions,
): Promise<UpdatedKernel> {
  const { compareKernelConfigs } = await import('@lkt/audit');
  const names = configPackages(workspace, item);
  let before: ReadonlyMap<string, KernelConfig> | undefined;
  try {
    const targets = names.map((name) => workspace.get(name));
    const { packages } = await buildPackages(workspace, targets, options);
    before = await configsOf(packages, names, options);
  } catch (error) {
    if (!(error instanceof LktError) || error.code !== 'DEB_GONE') throw error;
  }
  await applySourceUpdate(workspace, item, update, options);
  const written = await reopen();
  const targets = names.map((name) => written.get(name));
  const { packages } = await pinWorkspace(written, targets, options);
  const configs = [...(await configsOf(packages, names, options))].map(([name, config]) => {
    const old = before?.get(name);
    return { name, changes: old && compareKernelConfigs(old, config) };
  });
  return { ...update, configs };
}

/** For lkt/linux-source these start with lkt/linux-config. */
function configPackages(workspace: Workspace, { name }: Package): readonly string[] {
  const start = `${name.replace(/-source$/, '')}-config`;
  return [...workspace.packages.keys()].filter((other) => other.startsWith(start));
}

async function configsOf(
  packages: readonly BuiltPackage[],
  names: readonly string[],
  { store }: KernelUpdateOptions,
): Promise<ReadonlyMap<string, KernelConfig>> {
  const { parseKernelConfig } = await import('@lkt/audit');
  const configs = new Map<string, KernelConfig>();
  for (const { item, images } of packages) {
    const [image] = images;
    if (!names.includes(item.name) || image?.platform === undefined) continue;
    const files = await imageFiles(store, image.digest, image.platform, (path) =>
      CONFIG_PATH.test(path),
    );
    for (const [path, bytes] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      configs.set(`${item.name}:/${path}`, parseKernelConfig(`${item.name}:/${path}`, bytes));
  }
  return configs;
}
