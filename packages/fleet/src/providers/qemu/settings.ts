import { choice, integer, optional, record, text, withDefault, type YamlType } from '@lkt/core';

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
