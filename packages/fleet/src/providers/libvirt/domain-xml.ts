import type { AcceleratorName } from '@lkt/machine';
import { type NodeRecord, parseNodeRecord } from '../node-record.ts';
import type { Endpoint } from '../../node.ts';

/** XML namespace of the record in a domain's metadata. */
export const RECORD_URI = 'urn:lkt:fleet:1';

/** A volume of the pool that a domain sees as a disk. */
export interface DomainDisk {
  readonly volume: string;
  readonly serial: string;
  readonly isReadOnly: boolean;
}

/** The parts of a domain. */
export interface DomainOptions {
  readonly name: string;
  readonly uuid: string;
  readonly record: string;
  readonly cpus: number;
  /** In MiB. */
  readonly memory: number;
  readonly accelerator: AcceleratorName;
  readonly kernel: string;
  readonly initrd: string | undefined;
  readonly cmdline: string;
  readonly console: string;
  readonly pool: string;
  readonly disks: readonly DomainDisk[];
  /** Name of a network or a bridge; undefined: user-mode network. */
  readonly network: { readonly network: string } | { readonly bridge: string } | undefined;
  /** Ports of the host, by the port in the guest. */
  readonly published: ReadonlyMap<number, Endpoint>;
}

/**
 * Returns the XML of a domain: the same machine as that of the qemu provider. It ends when the
 * guest shuts down, restarts or panics, and then libvirt forgets it.
 */
export function domainXml(options: DomainOptions): string {
  const { accelerator, pool } = options;
  return `<domain type='${accelerator === 'kvm' ? 'kvm' : 'qemu'}'>
  <name>${escape(options.name)}</name>
  <uuid>${options.uuid}</uuid>
  <metadata>${recordXml(options.record)}</metadata>
  <memory unit='MiB'>${options.memory}</memory>
  <vcpu>${options.cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>${escape(options.kernel)}</kernel>
    ${options.initrd === undefined ? '' : `<initrd>${escape(options.initrd)}</initrd>`}
    <cmdline>${escape(options.cmdline)}</cmdline>
  </os>
  <features><acpi/></features>
  ${accelerator === 'kvm' ? "<cpu mode='host-passthrough'/>" : "<cpu mode='maximum'/>"}
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <serial type='file'><source path='${escape(options.console)}'/><target port='0'/></serial>
    ${options.disks.map((disk, index) => diskXml(pool, disk, index)).join('\n    ')}
    ${interfaceXml(options)}
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <panic model='isa'/>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

/** Returns the element of a domain's metadata that has the record. */
export function recordXml(record: string): string {
  return `<lkt:node xmlns:lkt='${RECORD_URI}'>${escape(record)}</lkt:node>`;
}

/** Parses the metadata of a domain; undefined if it has no record. */
export function parseRecordXml(xml: string): NodeRecord | undefined {
  const [, text] = /^<(?:lkt:)?node(?: [^<>]*)?>([^<>]*)<\/(?:lkt:)?node>$/.exec(xml) ?? [];
  return text === undefined ? undefined : parseNodeRecord(text.replaceAll('&quot;', '"'));
}

function diskXml(pool: string, disk: DomainDisk, index: number): string {
  const target = `vd${String.fromCodePoint('a'.codePointAt(0)! + index)}`;
  return [
    "<disk type='volume' device='disk'><driver name='qemu' type='raw'/>",
    `<source pool='${escape(pool)}' volume='${escape(disk.volume)}'/>`,
    `<target dev='${target}' bus='virtio'/>`,
    disk.isReadOnly ? '<readonly/>' : '',
    `<serial>${disk.serial}</serial></disk>`,
  ].join('');
}

function interfaceXml({ network, published }: DomainOptions): string {
  const model = "<model type='virtio'/><rom enabled='no'/>";
  if (network === undefined) {
    const forwards = [...published].map(
      ([guestPort, { host, port }]) =>
        `<portForward proto='tcp' address='${escape(host)}'>` +
        `<range start='${port}' to='${guestPort}'/></portForward>`,
    );
    return [
      "<interface type='user'><backend type='passt'/>",
      `${forwards.join('')}${model}</interface>`,
    ].join('');
  }
  const source =
    'network' in network
      ? `<interface type='network'><source network='${escape(network.network)}'/>`
      : `<interface type='bridge'><source bridge='${escape(network.bridge)}'/>`;
  return `${source}${model}</interface>`;
}

/** Escapes a text for an element or an attribute. */
function escape(text: string): string {
  return text.replaceAll(
    /[&<>'"]/g,
    (character) =>
      ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&apos;', '"': '&quot;' })[character] ??
      character,
  );
}
