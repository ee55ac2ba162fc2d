import { access, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolMissing } from './tool.ts';

/** EFI for a machine: its code, and where it keeps its settings. */
export interface EfiFirmware {
  readonly code: string;
  readonly variables: string;
}

/** Where Debian, Arch and Fedora have it, with 4 MiB first. */
const PLACES: readonly EfiFirmware[] = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
].map(([code = '', variables = '']) => ({ code, variables }));

/**
 * EFI as it is installed on this machine, with settings of its own in `dir`.
 * @throws LktError TOOL_MISSING
 */
export async function prepareEfi(dir: string): Promise<EfiFirmware> {
  for (const { code, variables } of PLACES) {
    if (!(await isReadable(code)) || !(await isReadable(variables))) continue;
    const own = join(dir, 'variables');
    await copyFile(variables, own);
    return { code, variables: own };
  }
  throw toolMissing('OVMF, the EFI firmware of QEMU,', 'ovmf');
}

async function isReadable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
