import { join } from 'node:path';
import { LktError } from '@lkt/core';
import type { DebFile, DebMetadata, Mirror } from '@lkt/debian';
import { checkLock, type DebianLock, type DebianSpec, parseLock } from '@lkt/debian/description';
import { type Descriptor, type Platform, writeImage, writeLayer } from '@lkt/oci';
import { writeDebMetadata } from '../attest/deb-metadata.ts';
import { writeOwners } from '../attest/deb-owners.ts';
import type { DebianInputs } from '../build/build-key.ts';
import type { BuildOptions } from '../build/build-options.ts';
import { readOptional } from '../workspace/workspace-file.ts';
import type { Package, Workspace } from '../workspace/workspace.ts';

/** Returns the Debian mirror. Called only if a .deb is missing from the store. */
export type FindMirror = () => Promise<Mirror>;

/** Default PATH of images, as Docker and LinuxKit set it. */
const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Returns the lock of a package for one architecture, checked against its build.yml.
 * @throws NOT_FOUND if the lock file is missing; the fix names the command that writes it
 * @throws CONFIG_INVALID if the lock does not match build.yml
 */
export async function readLock(
  workspace: Workspace,
  item: Package,
  platform: Platform,
): Promise<DebianLock> {
  const spec = debianSpec(item, platform);
  const path = lockPath(item, platform);
  const dir = workspace.displayPath(item.dir);
  const shown = workspace.displayPath(path);
  const file = readOptional(path, () => shown);
  if (file === undefined)
    throw new LktError('NOT_FOUND', `${shown} is missing`, {
      fix: `run: lkt pkg lock ${dir}`,
    });
  const lock = parseLock(file);
  checkLock(lock, spec, file, dir);
  return lock;
}

/** The inputs of an image of a package with a `debian` block. */
export interface DebianImage extends DebianInputs {
  /** Package directory for the fix of an error about a .deb that the mirror no longer has. */
  readonly directory: string;
}

/** Builds the image of a package with a `debian` block: one layer, without running any command. */
export async function buildDebianImage(
  image: DebianImage,
  context: Pick<BuildOptions, 'store' | 'mirror' | 'reporter' | 'signal'>,
): Promise<Descriptor> {
  const { lock, block, labels, platform, directory } = image;
  const { store, mirror, reporter, signal } = context;
  const { assemble, fetchPackages } = await import('@lkt/debian');
  await fetchPackages(lock, store, mirror, { reporter, signal, directory });
  const files: DebFile[] = [];
  const onFile = (file: DebFile): void => void files.push(file);
  let metadata: readonly DebMetadata[] = [];
  const onMetadata = (found: readonly DebMetadata[]): void => void (metadata = found);
  const entries = assemble(lock, store, block, { reporter, signal, onFile, onMetadata });
  const layer = await writeLayer(store, entries, { signal });
  const descriptor = await writeImage(store, {
    config: { config: { Env: [PATH], ...(Object.keys(labels).length > 0 && { Labels: labels }) } },
    layers: [layer],
    platform,
  });
  await writeOwners(store, descriptor.digest, files);
  await writeDebMetadata(store, descriptor.digest, metadata);
  return descriptor;
}

/** Returns `debian.lock`, or `debian.ARCH.lock` for a package of several architectures. */
export function lockPath(item: Package, { architecture }: Platform): string {
  return join(item.dir, item.arches.length > 1 ? `debian.${architecture}.lock` : 'debian.lock');
}

export function debianSpec(item: Package, platform: Platform): DebianSpec {
  if (item.debian === undefined) throw new Error(`${item.name} is not made from Debian packages`);
  return { ...item.debian, architecture: debianArchitecture(platform) };
}

/**
 * Returns Debian's name of an architecture.
 * @see https://wiki.debian.org/SupportedArchitectures
 */
function debianArchitecture({ architecture, variant }: Platform): string {
  if (architecture === 'arm') return variant === 'v7' || variant === undefined ? 'armhf' : 'armel';
  return { '386': 'i386', ppc64le: 'ppc64el' }[architecture] ?? architecture;
}
