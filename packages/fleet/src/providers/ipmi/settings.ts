import { choice, optional, record, required, text, withDefault, type YamlType } from '@lkt/core';
import { machineFields, machinesOf, type MachineSettings, matching } from '../metal/settings.ts';

/** A machine with a BMC. */
interface IpmiMachineSettings extends MachineSettings {
  readonly bmc: string;
}

/** `providers.NAME.ipmi`. */
export interface IpmiSettings {
  readonly state?: string;
  readonly user: string;
  readonly passwordFile: string;
  readonly firmware: 'efi' | 'bios';
  readonly machines: ReadonlyMap<string, IpmiMachineSettings>;
}

/** A host or an IPv4 address, with or without a port. */
const HOST_AND_PORT = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::\d{1,5})?$/;

const MACHINE: YamlType<IpmiMachineSettings> = record({
  bmc: required(matching('HOST or HOST:PORT', HOST_AND_PORT), 'address of the BMC'),
  ...machineFields,
});

export const IPMI_SETTINGS: YamlType<IpmiSettings> = record({
  state: optional(text(), 'directory of records and boot files'),
  user: required(
    matching('a user of at most 16 characters', /^[\x21-\x7e]{1,16}$/),
    'user of the BMCs',
  ),
  passwordFile: required(text(), 'file with the password in its first line'),
  firmware: withDefault(choice('efi', 'bios'), 'efi', 'firmware of the machines'),
  machines: required(machinesOf(MACHINE), 'machines, by the names of their nodes'),
});
