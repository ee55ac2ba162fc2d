import { plainFile, writeTar } from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import type { Initrd } from '../initrd/initrd.ts';
import type { Plan } from '../plan.ts';
import type { Kernel } from '../tree/kernel.ts';
import type { Format } from './formats.ts';
import { type Output, small } from './write.ts';

interface BootOptions {
  readonly name: string;
  readonly format: readonly Format[];
}

/** Returns the kernel file if a format has one. */
export function kernelOutput(
  { cache, kernel }: Plan,
  { name, format }: BootOptions,
): Output | undefined {
  if (kernel === undefined || !format.some((one) => one.startsWith('kernel+'))) return undefined;
  const { kernel: expected } = kernel;
  return { name: `${name}-kernel`, expected, bytes: () => cache.read(expected) };
}

/** Returns the kernel, initrd and command line files of the formats. */
export function bootOutputs(
  { cache, kernel }: Plan,
  { name, format }: BootOptions,
  kernelFile: Output | undefined,
  initrd: Initrd | undefined,
): readonly Output[] {
  if (kernel === undefined) return [];
  const outputs = kernelFile === undefined ? [] : [kernelFile];
  if (initrd !== undefined && format.includes('kernel+initrd'))
    outputs.push({ ...initrd, name: `${name}-initrd.img` });
  if (kernelFile !== undefined) outputs.push(small(`${name}-cmdline`, kernel.cmdline));
  if (initrd !== undefined && format.includes('tar-kernel-initrd')) {
    const bytes = (): AsyncIterable<Uint8Array> => bootTarOf(kernel, initrd, cache);
    outputs.push({ name: `${name}-initrd.tar`, bytes });
  }
  return outputs;
}

/**
 * Writes the boot files as one tar archive: `kernel`, `initrd.img` with the microcode first,
 * `cmdline`.
 */
function bootTarOf(
  { kernel, cmdline }: Kernel,
  initrd: Initrd,
  cache: ComposeCache,
): AsyncGenerator<Uint8Array> {
  return writeTar([
    { ...plainFile('kernel'), size: kernel.size, content: cache.read(kernel) },
    { ...plainFile('initrd.img'), size: initrd.size, content: initrd.bytes() },
    plainFile('cmdline', cmdline),
  ]);
}
