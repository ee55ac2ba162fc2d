import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno, LktError, type Reporter, type SourceFile } from '@lkt/core';
import type { DebFile, Mirror } from '@lkt/debian';
import {
  checkLock,
  type DebianBlock,
  type DebianLock,
  type DebianSpec,
  parseLock,
} from '@lkt/debian/description';
import { type Descriptor, type Platform, type Store, writeImage, writeLayer } from '@lkt/oci';
import { rememberOwners } from '../attest/deb-owners.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** Where .debs come from; asked for only when one is missing. */
export type FindMirror = () => Promise<Mirror>;

/** What the environment of every container has unless the image says otherwise; Docker's and LinuxKit's. */
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The lock of a package of .debs for one architecture, checked against its build.yml.
 * @throws LktError NOT_FOUND without one, CONFIG_INVALID for one that does not fit; both name the command
 */
export async function readLock(
  workspace: Workspace,
  item: Package,
  platform: Platform,
): Promise<DebianLock> {
  const spec = debianSpec(item, platform);
  const path = lockPath(item, platform);
  const dir = workspace.displayPath(item.dir);
  let file: SourceFile;
  try {
    file = { path: workspace.displayPath(path), text: await readFile(path, 'utf8') };
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new LktError('NOT_FOUND', `${workspace.displayPath(path)} is missing`, {
      cause: error,
      fix: `run: lkt pkg lock ${dir}`,
    });
  }
  const lock = parseLock(file);
  checkLock(lock, spec, file, dir);
  return lock;
}

/** Makes the image of a package of .debs: one layer, no commands run. */
export async function buildDebianImage(
  image: {
    readonly lock: DebianLock;
    readonly block: DebianBlock;
    readonly labels: Readonly<Record<string, string>>;
    readonly platform: Platform;
    /** Named in the advice on a .deb that is gone. */
    readonly directory: string;
  },
  context: {
    readonly store: Store;
    readonly mirror: FindMirror;
    readonly reporter: Reporter;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Descriptor> {
  const { lock, block, labels, platform, directory } = image;
  const { store, mirror, reporter, signal } = context;
  const { assemble, fetchPackages } = await import('@lkt/debian');
  await fetchPackages(lock, store, mirror, { reporter, signal, directory });
  const files: DebFile[] = [];
  const onFile = (file: DebFile): void => void files.push(file);
  const entries = assemble(lock, store, block, { reporter, signal, onFile });
  const layer = await writeLayer(store, entries, signal === undefined ? {} : { signal });
  const descriptor = await writeImage(store, {
    config: { config: { Env: [PATH], ...(Object.keys(labels).length > 0 && { Labels: labels }) } },
    layers: [layer],
    platform,
  });
  await rememberOwners(store, descriptor.digest, files);
  return descriptor;
}

/** `debian.lock`; with several architectures each has its own. */
export function lockPath(item: Package, { architecture }: Platform): string {
  return join(item.dir, item.arches.length > 1 ? `debian.${architecture}.lock` : 'debian.lock');
}

export function debianSpec(item: Package, platform: Platform): DebianSpec {
  if (item.debian === undefined) throw new Error(`${item.name} is not made from Debian packages`);
  return { ...item.debian, architecture: debianArchitecture(platform) };
}

/** @see https://wiki.debian.org/SupportedArchitectures */
function debianArchitecture({ architecture, variant }: Platform): string {
  if (architecture === 'arm') return variant === 'v7' || variant === undefined ? 'armhf' : 'armel';
  return { '386': 'i386', ppc64le: 'ppc64el' }[architecture] ?? architecture;
}
