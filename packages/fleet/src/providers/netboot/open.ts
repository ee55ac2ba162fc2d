import type { Machine } from '../metal/power-control.ts';
import { MetalProvider } from '../metal/provider.ts';
import { CommandPower } from './command-power.ts';
import { HandPower } from './hand-power.ts';
import type { NetbootSettings } from './settings.ts';

/** Settings with absolute paths. */
export interface NetbootOptions extends Omit<NetbootSettings, 'state'> {
  readonly dir: string;
  readonly warn: (text: string) => void;
}

export function openNetboot({
  dir,
  command,
  machines,
  warn,
}: NetbootOptions): MetalProvider<Machine> {
  return new MetalProvider({
    dir,
    machines: [...machines].map(([name, machine]) => ({ name, ...machine })),
    power: command === undefined ? new HandPower(dir, warn) : new CommandPower(command),
    warn,
  });
}
