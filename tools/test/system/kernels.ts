import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { root } from './lkt.ts';

/**
 * Kernels that are compiled, which takes a quarter of an hour of processor time: `npm run test:kernel` does that, and has to
 * come to the pin, which is from another machine.
 */
const COMPILED_KERNELS = ['kernel/linux'];

/** The directories that have a file of this name, but for those of kernels that are compiled. */
export function packagesWith(file: 'Dockerfile' | 'build.yml'): readonly string[] {
  return globSync(`{pkg,kernel,tools}/*/${file}`, { cwd: root })
    .map(dirname)
    .filter((directory) => !COMPILED_KERNELS.includes(directory))
    .toSorted();
}
