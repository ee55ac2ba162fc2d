import { plainFile, writeTar } from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import type { Initrd } from '../initrd/initrd.ts';
import type { Plan } from '../plan.ts';
import type { Kernel } from '../tree/kernel.ts';
import type { Format } from './formats.ts';
import { type Output, small } from './write.ts';

/** Returns the kernel, initrd and command line files of the formats. */
export function bootOutputs(
  { cache, kernel }: Plan,
  { name, format }: { readonly name: string; readonly format: readonly Format[] },
  initrd: Initrd | undefined,
): readonly Output[] {
  if (kernel === undefined) return [];
  const outputs: Output[] = [];
  const hasKernel = format.some((one) => one.startsWith('kernel+'));
  if (hasKernel)
    outputs.push({
      name: `${name}-kernel`,
      expected: kernel.kernel,
      bytes: () => cache.read(kernel.kernel),
    });
  if (initrd !== undefined && format.includes('kernel+initrd'))
    outputs.push({ ...initrd, name: `${name}-initrd.img` });
  if (hasKernel) outputs.push(small(`${name}-cmdline`, kernel.cmdline));
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
