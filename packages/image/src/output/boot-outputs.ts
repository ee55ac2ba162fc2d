import type { Initrd } from '../initrd/initrd.ts';
import type { Plan } from '../plan.ts';
import { bootTarOf } from './boot-tar.ts';
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
  if (initrd !== undefined && format.includes('kernel+initrd')) {
    const { digest, size } = initrd;
    outputs.push({
      name: `${name}-initrd.img`,
      expected: digest === undefined ? undefined : { digest, size },
      bytes: () => initrd.bytes(),
    });
  }
  if (hasKernel) outputs.push(small(`${name}-cmdline`, kernel.cmdline));
  if (initrd !== undefined && format.includes('tar-kernel-initrd')) {
    const bytes = (): AsyncIterable<Uint8Array> => bootTarOf(kernel, initrd, cache);
    outputs.push({ name: `${name}-initrd.tar`, bytes });
  }
  return outputs;
}
