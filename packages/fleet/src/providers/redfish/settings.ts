import { choice, optional, record, required, text, withDefault, type YamlType } from '@lkt/core';
import { machineFields, machinesOf, type MachineSettings, matching } from '../metal/settings.ts';

/** A machine with a Redfish service. */
interface RedfishMachineSettings extends MachineSettings {
  readonly url: string;
  readonly system?: string;
}

/** `providers.NAME.redfish`. */
export interface RedfishSettings {
  readonly state?: string;
  readonly user: string;
  readonly passwordFile: string;
  readonly caFile?: string;
  readonly firmware: 'efi' | 'bios';
  readonly mediaUrl?: string;
  readonly machines: ReadonlyMap<string, RedfishMachineSettings>;
}

const MACHINE: YamlType<RedfishMachineSettings> = record({
  url: required(
    text({
      matches: /^(?:https:\/\/[A-Za-z0-9][A-Za-z0-9.-]{0,252}|http:\/\/127\.0\.0\.1)(?::\d{1,5})?$/,
      problem: (given) => `"${given}" is not https://HOST or https://HOST:PORT`,
    }),
    'URL of the Redfish service',
  ),
  system: optional(
    matching('the id of a system', /^[\w.-]{1,64}$/),
    'id of the system, where a service has several',
  ),
  ...machineFields,
});

export const REDFISH_SETTINGS: YamlType<RedfishSettings> = record({
  state: optional(text(), 'directory of records and boot files'),
  user: required(matching('the name of a user', /^[^:\s]{1,64}$/), 'user of the services'),
  passwordFile: required(text(), 'file with the password in its first line'),
  caFile: optional(text(), 'PEM file with the certificates that services are verified by'),
  firmware: withDefault(choice('efi', 'bios'), 'efi', 'firmware of the machines'),
  mediaUrl: optional(
    text({
      matches: /^https?:\/\/[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::\d{1,5})?(?:\/[\w.-]{1,64}){0,8}$/,
      problem: (given) => `"${given}" is not http://HOST:PORT or https://HOST:PORT`,
    }),
    'URL of the served boot/: BMCs load disks from it as virtual media; default: network boot',
  ),
  machines: required(machinesOf(MACHINE), 'machines, by the names of their nodes'),
});
