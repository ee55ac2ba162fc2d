import { existsSync } from 'node:fs';
import { type SourceFile, sourceError } from '@lkt/core';
import { toRaw } from '@lkt/oci';
import type { RunStep } from '@lkt/dockerfile';
import { MountPointError, type Holds, type MountPoints } from '../run/mount-points.ts';
import type { SandboxMount } from './sandbox.ts';

/**
 * `target` as in the Dockerfile. A bind mount of a file needs a file as its mount point. `isOwn`: nobody else changes
 * what is in it, so others can be mounted there.
 */
export type RunMount = SandboxMount & { readonly isFile: boolean; readonly isOwn: boolean };

export interface SandboxMountsOptions {
  readonly step: RunStep;
  readonly file: SourceFile;
  readonly mounts: readonly RunMount[];
  readonly network: 'none' | 'host';
}

/**
 * The mounts of a RUN in the order in which they are made, with the resolver's file of a machine whose network it has.
 * Their mount points, and those of /dev, /proc and /sys, are made where they are missing.
 * @throws LktError BUILD_FAILED where something is in the way of a mount point
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
    // What is around another comes before it.
    const sorted = mounts.toSorted((a, b) => depthOf(a.mount) - depthOf(b.mount));
    return sorted.map(({ isFile, isOwn, mount }) => {
      const holds = holdsOf(mount, isOwn && !isFile);
      const { target, isMissing } = points.make(toRaw(mount.target.slice(1)), isFile, holds);
      return { ...mount, target, ...(isMissing && { missing: isFile ? 'file' : 'directory' }) };
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
