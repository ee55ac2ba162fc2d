import {
  choice,
  mapping,
  optional,
  record,
  required,
  text,
  withDefault,
  type YamlType,
} from '@lkt/core';
import { NAME } from '../../node-labels.ts';

/** A machine with a BMC. */
export interface IpmiMachineSettings {
  readonly bmc: string;
  readonly mac: string;
  readonly address?: string;
}

/** `providers.NAME.ipmi`. */
export interface IpmiSettings {
  readonly state?: string;
  readonly user: string;
  readonly passwordFile: string;
  readonly firmware: 'efi' | 'bios';
  readonly machines: ReadonlyMap<string, IpmiMachineSettings>;
}

const matching = (what: string, matches: RegExp): YamlType<string> =>
  text({ matches, problem: (given) => `"${given}" is not ${what}` });

const HOST = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;
/** A host or an IPv4 address, with or without a port. */
const HOST_AND_PORT = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::\d{1,5})?$/;

const MACHINE: YamlType<IpmiMachineSettings> = record({
  bmc: required(matching('HOST or HOST:PORT', HOST_AND_PORT), 'address of the BMC'),
  mac: required(
    matching('a MAC address in lower case', /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/),
    'address of the network card that boots',
  ),
  address: optional(
    matching('a host or an address', HOST),
    'address of the node, for health checks',
  ),
});

export const IPMI_SETTINGS: YamlType<IpmiSettings> = record({
  state: optional(text(), 'directory of records and boot files'),
  user: required(
    matching('a user of at most 16 characters', /^[\x21-\x7e]{1,16}$/),
    'user of the BMCs',
  ),
  passwordFile: required(text(), 'file with the password in its first line'),
  firmware: withDefault(choice('efi', 'bios'), 'efi', 'firmware of the machines'),
  machines: required(mapping(MACHINE), 'machines, by the names of their nodes'),
}).transform((settings, value) => {
  for (const name of settings.machines.keys())
    if (!NAME.test(name))
      throw value.error(`"${name}" is not a name of a node`, {
        fix: 'use lower-case letters, digits and "-"',
      });
  const macs = [...settings.machines.values()].map(({ mac }) => mac);
  const twice = macs.find((mac, index) => macs.indexOf(mac) !== index);
  if (twice !== undefined) throw value.error(`two machines have the address ${twice}`);
  return settings;
});
