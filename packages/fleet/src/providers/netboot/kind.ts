import { resolveProgram } from '../../program.ts';
import type { ProviderKind } from '../../provider.ts';
import { stateDirOf } from '../state-dir.ts';
import { NETBOOT_SETTINGS, type NetbootSettings } from './settings.ts';

/** Nodes on machines that boot from the network, switched by a program or a person. */
export const netboot: ProviderKind<NetbootSettings> = {
  kind: 'netboot',
  about: 'machines that boot from the network, switched by a program or by hand',
  settings: NETBOOT_SETTINGS,
  place: (settings, dirs) => stateDirOf('netboot', settings, dirs),
  open: async (settings, { dir, stateDir, warn }) => {
    const { openNetboot } = await import('./open.ts');
    const { command, machines } = settings;
    return openNetboot({
      dir: stateDirOf('netboot', settings, { dir, stateDir }),
      ...(command === undefined ? {} : { command: resolveProgram(dir, command) }),
      machines,
      warn,
    });
  },
};
