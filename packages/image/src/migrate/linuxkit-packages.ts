/** The successor of a package of LinuxKit in an image config. */
export type Successor =
  /** A package of lkt, by its image name; `note` is for every user of it, `about` for some. */
  | {
      readonly kind: 'package';
      readonly image: string;
      readonly note?: string;
      readonly about?: string;
      /** Modules that Debian's kernel needs for it, and PID 1 does not load. */
      readonly modules?: readonly string[];
    }
  /** No package: `by` names what does its work. `image` is for a container with own files. */
  | { readonly kind: 'removed'; readonly by: string; readonly image?: string }
  /** No successor: LinuxKit's image stays. */
  | { readonly kind: 'kept'; readonly note: string };

function of(
  image: string,
  more: { note?: string; about?: string; modules?: readonly string[] } = {},
): Successor {
  return { kind: 'package', image, ...more };
}

function removed(by: string, image?: string): Successor {
  return { kind: 'removed', by, ...(image !== undefined && { image }) };
}

function kept(note: string): Successor {
  return { kind: 'kept', note };
}

/** Returns a note about modules of Debian's kernel that PID 1 does not load. */
export function needsModules(...names: readonly string[]): string {
  const what = names.length === 1 ? 'module' : 'modules';
  return `lkt/kernel-debian needs the ${what} ${names.join(', ')} first: see lkt/modprobe`;
}

/** Modules for encrypted disks and swap. */
export const ENCRYPTION: readonly string[] = ['dm-crypt', 'essiv', 'xts'];

/** All packages in `pkg` of LinuxKit's repository (v1.8.2), by image name. */
export const LINUXKIT_PACKAGES: ReadonlyMap<string, Successor> = new Map([
  ['acpid', removed('PID 1 handles the power button')],
  ['auditd', of('auditd', { about: 'without rules for files and system calls' })],
  ['binfmt', of('binfmt', { modules: ['binfmt_misc'] })],
  [
    'bpftrace',
    kept(
      'needs CONFIG_BPF_EVENTS, as lkt/kernel-debian has, tracefs, and allow: [bpf] where it runs',
    ),
  ],
  ['ca-certificates', of('ca-certificates')],
  [
    'cadvisor',
    of('node_exporter', {
      note: 'has metrics of containers on port 9100, without a page; one is enough for machine and containers',
    }),
  ],
  ['containerd', of('containerd')],
  ['dhcpcd', of('dhcp')],
  ['dm-crypt', of('dm-crypt', { modules: ENCRYPTION })],
  ['dummy', removed('it does nothing')],
  ['extend', of('extend')],
  ['firmware', kept('lkt/linux and lkt/kernel-debian need none in virtual machines')],
  ['firmware-all', kept('lkt/linux and lkt/kernel-debian need none in virtual machines')],
  ['format', of('format')],
  [
    'getty',
    of('getty', {
      note: 'sees logs, and of the machine what the config binds; for ctr, see lkt/ctr',
    }),
  ],
  [
    'host-timesync-daemon',
    removed('lkt/ntp corrects the clock, after a long suspension with -max-step'),
  ],
  ['init', of('init')],
  ['ip', of('ip')],
  ['kmsg', kept('kernel messages are on the console')],
  ['logwrite', removed('PID 1 writes bounded logs, /var/log/NAME.log')],
  ['losetup', of('losetup', { modules: ['loop'] })],
  ['memlogd', removed('PID 1 provides its sockets')],
  ['metadata', of('metadata', { about: 'reads only disks unless its arguments name a cloud' })],
  ['mkimage', kept('lkt build writes disks itself; it needs allow: [mount]')],
  ['modprobe', of('modprobe')],
  ['mount', of('mount')],
  ['node_exporter', of('node_exporter')],
  [
    'open-vm-tools',
    of('vmtoolsd', { note: 'starts no program and accesses no file for the host' }),
  ],
  ['openntpd', of('ntp')],
  ['poweroff', of('poweroff')],
  ['qemu-ga', of('qemu-ga', { note: 'starts no program and accesses no file for the host' })],
  ['rngd', removed('the kernel seeds its random numbers')],
  ['runc', of('runc')],
  [
    'sshd',
    of('sshd', {
      note: 'logins see logs, and of the machine what the config binds; for ctr, see lkt/ctr',
    }),
  ],
  ['swap', of('swap')],
  ['sysctl', removed('PID 1 sets /etc/sysctl.d of the root, and hardened values', 'sysctl')],
  ['sysfs', of('sysfs', { about: 'without default settings' })],
  ['trim-after-delete', of('fstrim', { note: 'trims each hour, without asking Docker' })],
  ['tss', kept('for TPM 1.2; use lkt/tpm with a TPM 2.0')],
  ['vpnkit-expose-port', kept('for VPNKit on macOS')],
  ['vpnkit-forwarder', kept('for VPNKit on macOS')],
  ['vsudd', of('vsudd', { modules: ['vmw_vsock_virtio_transport'] })],
]);

/** Returns the packages as a Markdown list, for docs/linuxkit.md. */
export function packageList(): readonly string[] {
  return [...LINUXKIT_PACKAGES].map(([name, successor]) => {
    if (successor.kind === 'removed') {
      const { by, image } = successor;
      const unless = image === undefined ? '' : `; \`lkt/${image}\` if it binds other files`;
      return `- \`${name}\`: removed: ${by}${unless}`;
    }
    if (successor.kind === 'kept') return `- \`${name}\`: LinuxKit's image: ${successor.note}`;
    const { image, about, modules } = successor;
    const { note = modules === undefined ? about : needsModules(...modules) } = successor;
    return `- \`${name}\`: \`lkt/${image}\`${note === undefined ? '' : `: ${note}`}`;
  });
}
