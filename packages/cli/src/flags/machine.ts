import { choiceFlag, Flags, valueFlag } from './options.ts';

/** The flags for the hardware of a machine. */
export const machineFlags = {
  mem: valueFlag('SIZE', 'memory; without unit in MiB', {
    default: '1024',
    aliases: ['memory'],
  }),
  cpus: Flags.integer({ summary: 'processors', default: 1, min: 1, max: 255, helpValue: 'N' }),
  accel: choiceFlag(['auto', 'kvm', 'tcg'], 'accelerator: KVM, software, or KVM if available', {
    default: 'auto',
  }),
  qemu: valueFlag('PROGRAM', 'QEMU program'),
};
