import { existsSync } from 'node:fs';
import { type SourceFile, sourceError } from '@lkt/core';
import { toRaw } from '@lkt/oci';
import type { RunStep } from '@lkt/dockerfile';
import { MountPointError, type Holds, type MountPoints } from '../run/mount-points.ts';
import type { SandboxMount } from './sandbox.ts';

/**
 * A mount with its target as in the Dockerfile. `isFile`: its mount point is a file. `isOwn`: only
 * this step changes its content, so other mounts may be inside.
 */
export type RunMount = SandboxMount & { readonly isFile: boolean; readonly isOwn: boolean };

export interface SandboxMountsOptions {
  readonly step: RunStep;
  readonly file: SourceFile;
  readonly mounts: readonly RunMount[];
  readonly network: 'none' | 'host';
}

/**
 * Returns the mounts of a RUN in mount order, with the host's resolv.conf if it uses the host's
 * network. Makes missing mount points, also /dev, /proc and /sys.
 * @throws LktError BUILD_FAILED if a mount point cannot be made
 */
export function sandboxMounts(
  { step, file, network, mounts: given }: SandboxMountsOptions,
  points: MountPoints,
): SandboxMount[] {
  const mounts = given.map(({ isFile, isOwn, ...mount }) => ({ isFile, isOwn, mount }));
  const path = '/etc/resolv.conf';
  if (network === 'host' && existsSync(path)) {
    const readOnly = true;
    mounts.push({
      isFile: true,
      isOwn: false,
      mount: { type: 'bind', source: path, target: path, readOnly },
    });
  }
  try {
    for (const name of ['dev', 'proc', 'sys']) points.makeKernelDirectory(name);
    // A mount comes before those inside it.
    const sorted = mounts.toSorted((a, b) => depthOf(a.mount) - depthOf(b.mount));
    return sorted.map(({ isFile, isOwn, mount }) => {
      const holds = holdsOf(mount, isOwn && !isFile);
      const { target, isMissing, mode } = points.make(toRaw(mount.target.slice(1)), isFile, holds);
      return {
        ...mount,
        // As with runc, a tmpfs has the mode of the directory that it hides.
        ...(mount.type === 'tmpfs' && mode !== undefined && { mode }),
        target,
        ...(isMissing && { missing: isFile ? 'file' : 'directory' }),
      };
    });
  } catch (error) {
    if (!(error instanceof MountPointError)) throw error;
    throw sourceError('BUILD_FAILED', file, step.position, `cannot mount: ${error.message}`);
  }
}

function depthOf({ target }: SandboxMount): number {
  return target.split('/').length;
}

function holdsOf(mount: SandboxMount, isOwn: boolean): Holds {
  if (mount.type === 'tmpfs') return 'empty';
  return isOwn ? mount : 'closed';
}
