import { stat } from 'node:fs/promises';
import { isErrno, LktError } from '@lkt/core';
import type { ProviderKind } from '../../provider.ts';
import { stateDirOf } from '../state-dir.ts';
import {
  QEMU_GROUP_SETTINGS,
  QEMU_SETTINGS,
  type QemuGroupSettings,
  type QemuSettings,
} from './settings.ts';

/** Nodes as QEMU processes of this machine. */
export const qemu: ProviderKind<QemuSettings, QemuGroupSettings> = {
  kind: 'qemu',
  about: 'QEMU on this machine',
  settings: QEMU_SETTINGS,
  groupSettings: QEMU_GROUP_SETTINGS,
  place: (settings, dirs) => stateDirOf('qemu', settings, dirs),
  shape: ({ bridge, accelerator }) => ({
    bridge,
    accelerator: accelerator === 'auto' ? undefined : accelerator,
  }),
  open: async (settings, dirs) => {
    const { QemuProvider } = await import('./provider.ts');
    const dir = stateDirOf('qemu', settings, dirs);
    await requireDirectory(dir);
    return new QemuProvider({ ...settings, dir });
  },
};

/** Rejects a state directory that is not a directory, or is below a file. Creates a missing one. */
async function requireDirectory(path: string): Promise<void> {
  try {
    if ((await stat(path)).isDirectory()) return;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return;
    if (!isErrno(error, 'ENOTDIR')) throw error;
  }
  throw new LktError('CONFIG_INVALID', `${path} is not a directory`, {
    fix: 'name a directory, or one that does not exist yet: qemu: { state: DIRECTORY }',
  });
}
