import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { root } from './lkt.ts';

/**
 * Kernels that are compiled, which takes a quarter of an hour of processor time, and what is made for these alone:
 * `npm run test:kernel` builds them, and has to come to the pins, which are from another machine.
 */
const COMPILED_KERNELS = [
  'kernel/linux',
  'kernel/linux-config',
  'kernel/linux-config-arm64',
  'kernel/linux-tools-arm64',
];

/** The directories that have a file of this name, but for those of kernels that are compiled. */
export function packagesWith(file: 'Dockerfile' | 'build.yml'): readonly string[] {
  return globSync(`{pkg,kernel,tools}/*/${file}`, { cwd: root })
    .map(dirname)
    .filter((directory) => !COMPILED_KERNELS.includes(directory))
    .toSorted();
}
