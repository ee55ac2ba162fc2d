import {
  choice,
  integer,
  mapping,
  optional,
  record,
  text,
  withDefault,
  type YamlType,
} from '@lkt/core';

/** `providers.NAME.qemu`. */
export interface QemuSettings {
  /** Directory of the nodes, relative to that of fleet.yml. */
  readonly state?: string;
  readonly maxNodes?: number;
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
}

export const QEMU_SETTINGS: YamlType<QemuSettings> = record({
  state: optional(text(), 'directory of the nodes; default: below the state directory of the user'),
  maxNodes: optional(integer(1, 10_000), 'how many nodes this machine may run at once'),
  accelerator: withDefault(
    choice('auto', 'kvm', 'tcg'),
    'auto',
    'accelerator: KVM, software, or KVM if available',
  ),
});

/** `groups.NAME.qemu`. */
export interface QemuGroupSettings {
  /** Host port of the first slot, by port of the guest; undefined: any free one. */
  readonly ports: ReadonlyMap<number, number>;
}

const MAX_PORT = 65_535;

export const QEMU_GROUP_SETTINGS: YamlType<QemuGroupSettings> = record({
  ports: optional(
    mapping(integer(1024, MAX_PORT)),
    'host port of the first node by port of the guest, for fixed names; the next node has the next',
  ),
}).transform(({ ports = new Map<string, number>() }, at) => ({
  ports: new Map(
    [...ports].map(([guest, host]) => {
      const port = /^\d{1,5}$/.test(guest) ? Number(guest) : 0;
      if (port >= 1 && port <= MAX_PORT) return [port, host];
      throw at.error(`"${guest}" is not a port of the guest`);
    }),
  ),
}));
