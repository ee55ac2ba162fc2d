import { type Field, mapping, optional, required, text, type YamlType } from '@lkt/core';
import { NAME } from '../../node-labels.ts';

/** The settings of a machine that every way to switch it has. */
export interface MachineSettings {
  readonly mac: string;
  readonly address?: string;
}

/** Returns the type of texts that match. */
export function matching(what: string, matches: RegExp): YamlType<string> {
  return text({ matches, problem: (given) => `"${given}" is not ${what}` });
}

const HOST = /^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;

/** Keys of a machine. */
export const machineFields: {
  readonly mac: Field<string>;
  readonly address: Field<string | undefined>;
} = {
  mac: required(
    matching('a MAC address in lower case', /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/),
    'address of the network card that boots',
  ),
  address: optional(
    matching('a host or an address', HOST),
    'address of the node, for health checks',
  ),
};

/** Returns the type of machines by name. */
export function machinesOf<M extends MachineSettings>(
  machine: YamlType<M>,
): YamlType<ReadonlyMap<string, M>> {
  return mapping(machine).transform((machines, value) => {
    for (const name of machines.keys())
      if (!NAME.test(name))
        throw value.error(`"${name}" is not a valid node name`, {
          fix: 'use lower-case letters, digits and "-"',
        });
    const macs = [...machines.values()].map(({ mac }) => mac);
    const twice = macs.find((mac, index) => macs.indexOf(mac) !== index);
    if (twice !== undefined) throw value.error(`two machines have the address ${twice}`);
    return machines;
  });
}
