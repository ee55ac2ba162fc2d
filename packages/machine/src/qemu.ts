import type { AcceleratorName } from './accelerator.ts';
import type { BootFiles } from './boot-files.ts';
import type { Disk } from './disk.ts';
import type { Publication } from './publish.ts';

export interface QemuOptions {
  readonly files: BootFiles;
  readonly accelerator: AcceleratorName;
  /** In MiB. */
  readonly memory: number;
  readonly cpus: number;
  readonly publish: readonly Publication[];
  readonly disks: readonly (Disk & { readonly path: string })[];
  /** Undefined: no network card at all. */
  readonly network: boolean;
}

/** The descriptor on which QEMU finds the socket of its machine protocol. */
export const QMP_FD = 3;

/**
 * The arguments for `qemu-system-x86_64`. Every device is named here: nothing comes from QEMU's defaults or the
 * user's QEMU configuration.
 *
 * The console is the first serial port, on standard input and output, with QEMU's monitor behind Ctrl-A (`x` ends it).
 * The board is `pc`: `microvm` hangs now and then without KVM.
 */
export function qemuArguments(options: QemuOptions): readonly string[] {
  const { files } = options;
  return [
    ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ['-machine', 'pc'],
    options.accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ['-m', String(options.memory), '-smp', String(options.cpus)],
    ['-chardev', 'stdio,id=console,mux=on,signal=off', '-serial', 'chardev:console'],
    ['-mon', 'chardev=console,mode=readline'],
    ['-chardev', `socket,id=qmp,fd=${QMP_FD}`, '-mon', 'chardev=qmp,mode=control'],
    ['-device', 'virtio-rng-pci', '-device', 'pvpanic'],
    options.network ? network(options.publish) : [],
    options.disks.flatMap(drive),
    ['-kernel', files.kernel, '-initrd', files.initrd],
    ['-append', rebootOnPanic(files.cmdline)],
  ].flat();
}

/** The card's boot ROM is left out: it belongs to another Debian package, and nothing boots from the network. */
function network(publish: readonly Publication[]): readonly string[] {
  const forwards = publish.map(
    ({ protocol, address, hostPort, guestPort }) =>
      `,hostfwd=${protocol}:${address}:${hostPort}-:${guestPort}`,
  );
  return [
    ['-netdev', `user,id=network${forwards.join('')}`],
    ['-device', 'virtio-net-pci,netdev=network,romfile='],
  ].flat();
}

function drive(disk: Disk & { readonly path: string }, index: number): readonly string[] {
  const file = disk.path.replaceAll(',', ',,');
  return [
    ['-drive', `file=${file},format=${disk.format},if=none,id=disk${index}`],
    ['-device', `virtio-blk-pci,drive=disk${index},serial=disk${index}`],
  ].flat();
}

/** A kernel that panics would wait for ever; this way the machine ends. What the image says about it wins. */
function rebootOnPanic(cmdline: string): string {
  return /(^|\s)panic=/.test(cmdline) ? cmdline : `${cmdline} panic=-1`.trim();
}
