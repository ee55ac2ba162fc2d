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
  /** Bridge of this machine that connects the nodes; undefined: user-mode networks. */
  readonly bridge?: string;
  readonly maxNodes?: number;
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
}

export const QEMU_SETTINGS: YamlType<QemuSettings> = record({
  state: optional(text(), 'directory of the nodes; default: below the state directory of the user'),
  bridge: optional(
    text({
      matches: /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/,
      problem: (given) => `"${given}" is not the name of a bridge`,
      fix: 'write the name that `ip link show type bridge` prints',
    }),
    'bridge of this machine that connects the nodes; default: user-mode networks, published ports',
  ),
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
  /** Address of the card of the first slot on a bridge; undefined: from the node's name. */
  readonly mac?: string;
}

const MAX_PORT = 65_535;

export const QEMU_GROUP_SETTINGS: YamlType<QemuGroupSettings> = record({
  ports: optional(
    mapping(integer(1024, MAX_PORT)),
    'host port of the first node by port of the guest, for fixed names; the next node has the next',
  ),
  mac: optional(
    text({
      matches: /^[0-9a-f][26ae](?::[0-9a-f]{2}){5}$/,
      problem: (given) => `"${given}" is not a local hardware address`,
      fix: 'write one such as 52:54:00:00:00:10',
    }),
    'hardware address of the first node on the bridge, for DHCP reservations; the next node has the next',
  ),
}).transform(({ ports = new Map<string, number>(), mac }, at) => ({
  ...(mac === undefined ? {} : { mac }),
  ports: new Map(
    [...ports].map(([guest, host]) => {
      const port = /^\d{1,5}$/.test(guest) ? Number(guest) : 0;
      if (port >= 1 && port <= MAX_PORT) return [port, host];
      throw at.error(`"${guest}" is not a port of the guest`, {
        fix: 'write GUESTPORT: HOSTPORT, such as 80: 8080',
      });
    }),
  ),
}));
