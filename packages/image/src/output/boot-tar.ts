import { plainFile, writeTar } from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import type { Initrd } from '../initrd/initrd.ts';
import type { Kernel } from '../tree/kernel.ts';

/**
 * Writes the boot files as one tar archive: `kernel`, `initrd.img` with the microcode first,
 * `cmdline`.
 */
export function bootTarOf(
  { kernel, cmdline }: Kernel,
  initrd: Pick<Initrd, 'bytes' | 'size'>,
  cache: ComposeCache,
): AsyncGenerator<Uint8Array> {
  return writeTar([
    { ...plainFile('kernel'), size: kernel.size, content: cache.read(kernel) },
    { ...plainFile('initrd.img'), size: initrd.size, content: initrd.bytes() },
    plainFile('cmdline', cmdline),
  ]);
}
