import { type EntryWithContent, singleChunk, writeTar } from '@lkt/oci';
import type { ComposeCache } from '../cache.ts';
import type { Initrd } from '../initrd/initrd.ts';
import type { Kernel } from '../tree/kernel.ts';
import { rootEntry } from '../tree/memory.ts';

/**
 * Writes the boot files as one tar archive: `kernel`, `initrd.img` with the microcode first,
 * `cmdline`.
 */
export async function* bootTarOf(
  { kernel, cmdline }: Kernel,
  initrd: Pick<Initrd, 'bytes' | 'size'>,
  cache: ComposeCache,
): AsyncGenerator<Uint8Array> {
  const text = Buffer.from(cmdline);
  yield* writeTar([
    file('kernel', kernel.size, cache.read(kernel)),
    file('initrd.img', initrd.size, initrd.bytes()),
    file('cmdline', text.length, singleChunk(text)),
  ]);
}

function file(path: string, size: number, content: AsyncIterable<Uint8Array>): EntryWithContent {
  return { ...rootEntry(path, 'file', 0o644, size), content };
}
