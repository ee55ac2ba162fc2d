import { join, resolve } from 'node:path';
import type { ProviderKind } from '../../provider.ts';
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
  open: async (settings, { dir, stateDir }) => {
    const { QemuProvider } = await import('./provider.ts');
    const { state } = settings;
    const own = state === undefined ? join(stateDir, 'qemu') : resolve(dir, state);
    return new QemuProvider({ ...settings, dir: own });
  },
};
