import {
  choice,
  integer,
  optional,
  record,
  required,
  text,
  withDefault,
  type YamlType,
} from '@lkt/core';

/** `providers.NAME.libvirt`. */
export interface LibvirtSettings {
  readonly uri: string;
  readonly pool: string;
  readonly network?: string;
  readonly bridge?: string;
  readonly address: string;
  readonly firstPort: number;
  readonly lastPort: number;
  readonly maxNodes?: number;
  readonly accelerator: 'auto' | 'kvm' | 'tcg';
}

const name = (what: string, matches: RegExp): YamlType<string> =>
  text({ matches, problem: (given) => `"${given}" is not ${what}` });

export const LIBVIRT_SETTINGS: YamlType<LibvirtSettings> = record({
  uri: required(
    text({
      matches: /^qemu(?:\+[a-z0-9]+)?:\/\/[\x21-\x7e]{1,1000}$/,
      problem: (given) => `"${given}" is not a URI of libvirt's QEMU driver`,
      fix: 'write qemu:///system or qemu+ssh://USER@HOST/system',
    }),
    'connection URI',
  ),
  pool: withDefault(
    name('the name of a storage pool', /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/),
    'default',
    'storage pool of type dir, for images, volumes and consoles',
  ),
  network: optional(
    name('the name of a network', /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/),
    "libvirt's network of the nodes; default: user-mode network with published ports",
  ),
  bridge: optional(
    name('the name of a bridge', /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/),
    'bridge of the host, whose DHCP server serves the nodes',
  ),
  address: withDefault(
    name('an IPv4 address', /^(?:\d{1,3}\.){3}\d{1,3}$/),
    '127.0.0.1',
    'address of the host at which ports are published',
  ),
  firstPort: withDefault(integer(1024, 65_535), 20_000, 'smallest port to publish at'),
  lastPort: withDefault(integer(1024, 65_535), 29_999, 'largest port to publish at'),
  maxNodes: optional(integer(1, 10_000), 'how many nodes of the fleet the host may run at once'),
  accelerator: withDefault(
    choice('auto', 'kvm', 'tcg'),
    'auto',
    'accelerator: KVM, software, or KVM if available',
  ),
}).transform((settings, value) => {
  const { network, bridge, firstPort, lastPort } = settings;
  if (network !== undefined && bridge !== undefined)
    throw value.error('network and bridge exclude each other', { fix: 'remove one of them' });
  if (lastPort < firstPort)
    throw value.error(`lastPort ${lastPort} is smaller than firstPort ${firstPort}`);
  return settings;
});
