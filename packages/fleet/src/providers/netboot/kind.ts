import { join, resolve } from 'node:path';
import type { ProviderKind } from '../../provider.ts';
import { NETBOOT_SETTINGS, type NetbootSettings } from './settings.ts';

/** Nodes on machines that boot from the network, switched by a program or a person. */
export const netboot: ProviderKind<NetbootSettings> = {
  kind: 'netboot',
  about: 'machines that boot from the network, switched by a program or by hand',
  settings: NETBOOT_SETTINGS,
  open: async (settings, { dir, stateDir, warn }) => {
    const { openNetboot } = await import('./open.ts');
    const { state, command, machines } = settings;
    const [program = '', ...args] = command ?? [];
    return openNetboot({
      dir: state === undefined ? join(stateDir, 'netboot') : resolve(dir, state),
      // A name without "/" is one of PATH.
      ...(command === undefined
        ? {}
        : { command: [program.includes('/') ? resolve(dir, program) : program, ...args] }),
      machines,
      warn,
    });
  },
};
