import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { root } from './lkt.ts';

/**
 * Kernels that are compiled, a quarter of an hour of processor time each, and packages for them
 * alone. `npm run test:kernel` builds them; the results must match the pins, which are from another
 * machine.
 */
const COMPILED_KERNELS = [
  'kernel/linux',
  'kernel/linux-config',
  'kernel/linux-config-arm64',
  'kernel/linux-tools-arm64',
];

/** Returns the directories that contain a file of this name, without those of compiled kernels. */
export function packagesWith(file: 'Dockerfile' | 'build.yml'): readonly string[] {
  return globSync(`{pkg,kernel,tools}/*/${file}`, { cwd: root })
    .map(dirname)
    .filter((directory) => !COMPILED_KERNELS.includes(directory))
    .toSorted();
}
