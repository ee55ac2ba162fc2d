import type { AcceleratorName } from './accelerator.ts';
import type { BootFiles } from './boot-files.ts';
import type { BootMedium } from './boot-medium.ts';
import type { Disk } from './disk.ts';
import type { EfiFirmware } from './efi-firmware.ts';
import type { PublishedPort } from './published-port.ts';

/** The parts of a machine. */
export interface Hardware {
  readonly files: BootFiles | BootMedium;
  /** In MiB. */
  readonly memory: number;
  readonly cpus: number;
  readonly publish: readonly PublishedPort[];
  readonly disks: readonly (Disk & { readonly path: string })[];
  /** The network card: none, on a user-mode network with published ports, or on a bridge. */
  readonly network: boolean | BridgedCard;
}

/** A network card on a bridge of this machine, where every port of the guest is reachable. */
export interface BridgedCard {
  /** Name of the bridge, which qemu-bridge-helper has to allow to this user. */
  readonly bridge: string;
  /** Unique on the bridge. */
  readonly mac: string;
}

/** Options of `qemuArguments`. */
export interface QemuOptions extends Hardware {
  /** Whether the machine has a second serial port, on an inherited file descriptor. */
  readonly hasPort?: boolean;
  /** Undefined: BIOS. */
  readonly efi?: EfiFirmware;
  readonly accelerator: AcceleratorName;
  /** Default: the console and QMP on inherited file descriptors, for a supervising parent. */
  readonly detached?: DetachedFiles;
}

/** The files of a machine that runs without a parent. */
export interface DetachedFiles {
  /** Receives the console output. */
  readonly console: string;
  /** Socket of QMP, of at most 107 bytes. */
  readonly qmp: string;
  /** Written and locked by QEMU: a second machine with the same file does not start. */
  readonly pid: string;
}

/** File descriptor of QEMU's QMP socket. */
export const QMP_FD = 3;
/** File descriptor of the second serial port. */
export const PORT_FD = 4;

/**
 * TCG executes string instructions byte by byte. Without erms and fsrm the guest's kernel copies
 * memory with other instructions, and its init needs an eighth less time.
 */
const SOFTWARE_CPU = 'max,-erms,-fsrm';

/**
 * Returns the arguments for `qemu-system-x86_64`. They name every device: neither QEMU's defaults
 * nor the user's configuration apply.
 *
 * The console is the first serial port, on standard input and output; Ctrl-A reaches QEMU's monitor
 * (`x` ends QEMU). The board is `pc`, because `microvm` sometimes hangs without KVM.
 */
export function qemuArguments(options: QemuOptions): readonly string[] {
  return [
    ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none'],
    ['-machine', 'pc'],
    options.accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', 'host']
      : ['-accel', 'tcg,thread=multi', '-cpu', SOFTWARE_CPU],
    ['-m', String(options.memory), '-smp', String(options.cpus)],
    options.detached === undefined ? supervised() : detached(options.detached),
    options.hasPort === true ? secondPort() : [],
    ['-device', 'virtio-rng-pci', '-device', 'pvpanic'],
    networkCard(options),
    options.efi === undefined ? [] : firmware(options.efi),
    'kind' in options.files ? medium(options.files) : [],
    'root' in options.files && options.files.root !== undefined ? rootDisk(options.files.root) : [],
    options.disks.flatMap(drive),
    'kind' in options.files ? [] : kernel(options.files, options.accelerator),
  ].flat();
}

function supervised(): readonly string[] {
  return [
    ['-chardev', 'stdio,id=console,mux=on,signal=off', '-serial', 'chardev:console'],
    ['-mon', 'chardev=console,mode=readline'],
    ['-chardev', `socket,id=qmp,fd=${QMP_FD}`, '-mon', 'chardev=qmp,mode=control'],
  ].flat();
}

function secondPort(): readonly string[] {
  return ['-chardev', `socket,id=port,fd=${PORT_FD}`, '-serial', 'chardev:port'];
}

function detached({ console, qmp, pid }: DetachedFiles): readonly string[] {
  return [
    ['-chardev', `file,id=console,path=${escaped(console)}`, '-serial', 'chardev:console'],
    ['-chardev', `socket,id=qmp,path=${escaped(qmp)},server=on,wait=off`],
    ['-mon', 'chardev=qmp,mode=control', '-pidfile', pid, '-daemonize'],
  ].flat();
}

function kernel(
  { kernel: path, initrd, cmdline }: BootFiles,
  accelerator: AcceleratorName,
): readonly string[] {
  const unpacked = initrd === undefined ? [] : ['-initrd', initrd];
  return ['-kernel', path, ...unpacked, '-append', bootCmdline(cmdline, accelerator)];
}

/** Returns the kernel command line of an image for a machine that ends when its kernel panics. */
export function bootCmdline(cmdline: string, accelerator: AcceleratorName): string {
  return rebootOnPanic(accelerator === 'tcg' ? withoutTimerCheck(cmdline) : cmdline);
}

/** Returns the root disk, which precedes all others. */
function rootDisk(path: string): readonly string[] {
  return [
    ['-drive', `file=${escaped(path)},format=raw,if=none,id=root,readonly=on`],
    ['-device', 'virtio-blk-pci,drive=root,serial=root'],
  ].flat();
}

/**
 * Returns the device that firmware boots, which precedes all others. QEMU itself loads an EFI
 * program.
 */
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

/**
 * The card has no boot ROM: that is in another Debian package, and no machine boots from the
 * network.
 */
function networkCard({ network, publish }: QemuOptions): readonly string[] {
  if (network === false) return [];
  const card = 'virtio-net-pci,netdev=network,romfile=';
  if (network !== true)
    return [
      ['-netdev', `bridge,id=network,br=${escaped(network.bridge)}`],
      ['-device', `${card},mac=${network.mac}`],
    ].flat();
  const forwards = publish.map(
    ({ protocol, address, hostPort, guestPort }) =>
      `,hostfwd=${protocol}:${address}:${hostPort}-:${guestPort}`,
  );
  return [
    ['-netdev', `user,id=network${forwards.join('')}`],
    ['-device', card],
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

/** Makes a panicking kernel reset, which ends the machine, unless the image sets `panic=`. */
function rebootOnPanic(cmdline: string): string {
  return /(^|\s)panic=/.test(cmdline) ? cmdline : `${cmdline} panic=-1`.trim();
}

/**
 * Disables the timer check: with TCG on a busy host ticks arrive late, and the kernel would panic.
 */
function withoutTimerCheck(cmdline: string): string {
  return /(^|\s)no_timer_check(\s|$)/.test(cmdline) ? cmdline : `${cmdline} no_timer_check`.trim();
}
