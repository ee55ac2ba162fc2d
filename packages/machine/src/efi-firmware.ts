import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isReadable } from './boot-files.ts';
import { toolMissing } from './tool.ts';

/** The EFI firmware of a machine: its code, and the file of its variables. */
export interface EfiFirmware {
  readonly code: string;
  readonly variables: string;
}

/** Paths on Debian, Arch and Fedora, the 4 MiB variants first. */
const FIRMWARE_PATHS: readonly EfiFirmware[] = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
].map(([code = '', variables = '']) => ({ code, variables }));

/**
 * Returns the installed EFI firmware, with a copy of the variables in `dir`.
 * @throws TOOL_MISSING
 */
export async function prepareEfi(dir: string): Promise<EfiFirmware> {
  for (const { code, variables } of FIRMWARE_PATHS) {
    if (!(await isReadable(code)) || !(await isReadable(variables))) continue;
    const own = join(dir, 'variables');
    await copyFile(variables, own);
    return { code, variables: own };
  }
  throw toolMissing('OVMF, the EFI firmware of QEMU,', 'ovmf');
}
