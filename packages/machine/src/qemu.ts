import type { AcceleratorName } from './accelerator.ts';
import type { BootFiles } from './boot-files.ts';
import type { BootMedium } from './boot-medium.ts';
import type { Disk } from './disk.ts';
import type { EfiFirmware } from './efi-firmware.ts';
import type { Publication } from './publish.ts';

export interface QemuOptions {
  readonly files: BootFiles | BootMedium;
  /** Undefined: a BIOS. */
  readonly efi?: EfiFirmware;
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
 * A processor in software does instructions for whole strings a byte at a time: without these the guest's kernel copies and wipes
 * memory by other ones, and its init runs after seven eighths of the time.
 */
const SOFTWARE_CPU = 'max,-erms,-fsrm';

/**
 * The arguments for `qemu-system-x86_64`. Every device is named here: nothing comes from QEMU's defaults or the
 * user's QEMU configuration.
 *
 * The console is the first serial port, on standard input and output, with QEMU's monitor behind Ctrl-A (`x` ends it).
 * The board is `pc`: `microvm` hangs now and then without KVM.
 */
export function qemuArguments(options: QemuOptions): readonly string[] {
  return [
    ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ['-machine', 'pc'],
    options.accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi', '-cpu', SOFTWARE_CPU],
    ['-m', String(options.memory), '-smp', String(options.cpus)],
    ['-chardev', 'stdio,id=console,mux=on,signal=off', '-serial', 'chardev:console'],
    ['-mon', 'chardev=console,mode=readline'],
    ['-chardev', `socket,id=qmp,fd=${QMP_FD}`, '-mon', 'chardev=qmp,mode=control'],
    ['-device', 'virtio-rng-pci', '-device', 'pvpanic'],
    options.network ? network(options.publish) : [],
    options.efi === undefined ? [] : firmware(options.efi),
    'kind' in options.files ? medium(options.files) : [],
    'root' in options.files && options.files.root !== undefined ? rootDisk(options.files.root) : [],
    options.disks.flatMap(drive),
    'kind' in options.files ? [] : kernel(options.files, options.accelerator),
  ].flat();
}

function kernel(
  { kernel: path, initrd, cmdline }: BootFiles,
  accelerator: AcceleratorName,
): readonly string[] {
  const unpacked = initrd === undefined ? [] : ['-initrd', initrd];
  const whole = rebootOnPanic(accelerator === 'tcg' ? withoutTimerCheck(cmdline) : cmdline);
  return ['-kernel', path, ...unpacked, '-append', whole];
}

/** The root of the kernel, before all other disks. */
function rootDisk(path: string): readonly string[] {
  return [
    ['-drive', `file=${escaped(path)},format=raw,if=none,id=root,readonly=on`],
    ['-device', 'virtio-blk-pci,drive=root,serial=root'],
  ].flat();
}

/** What the firmware starts from, before all other disks. An EFI program it gets from QEMU itself. */
function medium({ path, kind, format }: BootMedium): readonly string[] {
  if (kind === 'program') return ['-kernel', path];
  const options = kind === 'cdrom' ? ',media=cdrom,readonly=on' : '';
  const device = kind === 'cdrom' ? 'ide-cd' : 'virtio-blk-pci';
  return [
    ['-drive', `file=${escaped(path)},format=${format},if=none,id=boot${options}`],
    ['-device', `${device},drive=boot,bootindex=0`],
  ].flat();
}

function firmware({ code, variables }: EfiFirmware): readonly string[] {
  const flash = 'if=pflash,format=raw';
  return [
    ['-drive', `${flash},readonly=on,file=${escaped(code)}`],
    ['-drive', `${flash},file=${escaped(variables)}`],
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
  const file = escaped(disk.path);
  return [
    ['-drive', `file=${file},format=${disk.format},if=none,id=disk${index}`],
    ['-device', `virtio-blk-pci,drive=disk${index},serial=disk${index}`],
  ].flat();
}

function escaped(path: string): string {
  return path.replaceAll(',', ',,');
}

/** A kernel that panics would wait for ever; this way the machine ends. What the image says about it wins. */
function rebootOnPanic(cmdline: string): string {
  return /(^|\s)panic=/.test(cmdline) ? cmdline : `${cmdline} panic=-1`.trim();
}

/** In software, on a busy machine, ticks come late: a kernel that counts them panics as the timer does not work. */
function withoutTimerCheck(cmdline: string): string {
  return /(^|\s)no_timer_check(\s|$)/.test(cmdline) ? cmdline : `${cmdline} no_timer_check`.trim();
}
