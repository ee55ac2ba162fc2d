import type { Platform } from '@lkt/oci';

/** OCI architectures by Node's names, where they differ. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** Returns the platform that this machine runs without emulation. */
export function thisMachine(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch };
}

/**
 * Returns the default BUILDPLATFORM: the target platform, or this machine's if the architectures
 * differ.
 */
export function buildPlatformFor(platform: Platform, machine: Platform = thisMachine()): Platform {
  return machine.architecture === platform.architecture ? platform : machine;
}
