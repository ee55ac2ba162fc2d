import type { Platform } from '@lkt/oci';

/** Names of architectures: Node's, and those of OCI platforms. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** What this machine runs without emulation. */
export function thisMachine(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch };
}

/**
 * Where the commands of a build run that says nothing else: BUILDPLATFORM. It is the platform that is built for, unless
 * that is of another kind than the machine.
 */
export function buildPlatformFor(platform: Platform, machine: Platform = thisMachine()): Platform {
  return machine.architecture === platform.architecture ? platform : machine;
}
