import type { BootFiles } from '@lkt/machine';
import { ProviderError } from '../../provider.ts';

/** The script that DHCP names, for all machines: it loads the one of the machine. */
export const COMMON_SCRIPT = '#!ipxe\nchain machines/${net0/mac:hexhyp}.ipxe\n';

/** Returns the file name of a machine's script. */
export function scriptName(mac: string): string {
  return `${mac.replaceAll(':', '-')}.ipxe`;
}

/**
 * Returns the iPXE script that boots an image. Its paths are relative to `machines/`.
 * @throws ProviderError `invalid` if iPXE would change the command line
 */
export function bootScript(image: string, { initrd, cmdline }: BootFiles): string {
  if (/[^\x20-\x7e]|[$"'\\#]|&&|\|\|/.test(cmdline))
    throw new ProviderError('invalid', `iPXE cannot pass the command line: ${cmdline}`, {
      fix: 'remove $, quotes, # and \\ from cmdline of the image',
    });
  const path = `../images/${image}`;
  const words = [cmdline, ...(initrd === undefined ? [] : ['initrd=initrd.img'])].join(' ').trim();
  return [
    '#!ipxe',
    `kernel ${path}/kernel ${words}`.trim(),
    ...(initrd === undefined ? [] : [`initrd ${path}/initrd.img`]),
    'boot',
    '',
  ].join('\n');
}
