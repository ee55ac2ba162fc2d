import { list, optional, record, required, text, type YamlType } from '@lkt/core';
import { machineFields, machinesOf, type MachineSettings } from '../metal/settings.ts';

/** `providers.NAME.netboot`. */
export interface NetbootSettings {
  readonly state?: string;
  readonly command?: readonly string[];
  readonly machines: ReadonlyMap<string, MachineSettings>;
}

export const NETBOOT_SETTINGS: YamlType<NetbootSettings> = record({
  state: optional(text(), 'directory of records and boot files'),
  command: optional(
    list(text(), { isFilled: true }),
    'program that switches a machine, with ACTION and NAME as its last arguments; default: a person',
  ),
  machines: required(machinesOf(record(machineFields)), 'machines, by the names of their nodes'),
});
