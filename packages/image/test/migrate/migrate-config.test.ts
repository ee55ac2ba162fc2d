import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LINUXKIT_PACKAGES, packageList } from '../../src/migrate/linuxkit-packages.ts';
import { type MigratedConfig, migrateConfig } from '../../src/migrate/migrate-config.ts';

const packages = new Set(['linuxkit/ip', 'team/app']);

function migrate(text: string): MigratedConfig {
  return migrateConfig({ path: 'a.yml', text }, { kernel: 'lkt/linux', isPackage });
}

function debian(text: string): MigratedConfig {
  return migrateConfig({ path: 'a.yml', text }, { kernel: 'lkt/kernel-debian', isPackage });
}

function isPackage(name: string): boolean {
  return packages.has(name);
}

function sysctl(more: string): string {
  return `onboot: [{name: s, image: linuxkit/sysctl${more}}]`;
}

function service(image: string, more = ''): string {
  return `services:\n- {name: x, image: "${image}"${more}}`;
}

function notesOf(text: string): readonly string[] {
  return migrate(text).notes.map((note) => `${note.line}: ${note.text}`);
}

it('keeps comments, order, quotes and blank lines', () => {
  const before = `# Above.
kernel:
  image: "linuxkit/kernel:6.12.59" # the kernel

init:
  - linuxkit/init:abc # PID 1
  # Logs.
  - 'docker.io/linuxkit/memlogd:abc'
  - linuxkit/runc:abc@sha256:${'0'.repeat(64)}
services:
    # Random numbers.
    - name: rngd
      image: linuxkit/rngd:abc
      # Inside.
      command: ["/sbin/rngd",
        "-1"]

    - {name: dhcp, image: linuxkit/dhcpcd:abc}
    -   name: web
        image: nginx:1.19
# Below.
`;
  const { text, changes, notes } = migrate(before);
  expect(text).toBe(`# Above.
kernel:
  image: "lkt/linux" # the kernel

init:
  - lkt/init # PID 1
  # Logs.
  - lkt/runc
services:
    # Random numbers.

    - {name: dhcp, image: lkt/dhcp}
    -   name: web
        image: docker.io/library/nginx:1.19
# Below.
`);
  expect(notes).toEqual([]);
  expect(changes.map(({ line, to, why }) => `${line} ${to}${why ?? ''}`)).toEqual([
    '3 lkt/linux',
    '6 lkt/init',
    '8 PID 1 provides its sockets',
    '9 lkt/runc',
    '12 the kernel seeds its random numbers',
    '18 lkt/dhcp',
    '20 docker.io/library/nginx:1.19',
  ]);
  expect(migrate(text)).toMatchObject({ text, changes: [] });
});

it.each([
  ['init: [linuxkit/memlogd, linuxkit/init]', 'init: [lkt/init]'],
  ['init: [linuxkit/init, linuxkit/memlogd, linuxkit/runc]', 'init: [lkt/init, lkt/runc]'],
  ['init: [linuxkit/init , linuxkit/memlogd]', 'init: [lkt/init]'],
  ['init: [a/b, linuxkit/memlogd, linuxkit/logwrite]', 'init: [docker.io/a/b]'],
  ['init: [linuxkit/memlogd, linuxkit/logwrite]', 'init: []'],
  [
    'onboot: [{name: a, image: linuxkit/rngd}, {name: b, image: b}]',
    'onboot: [{name: b, image: docker.io/library/b}]',
  ],
  ['init:\n- linuxkit/memlogd\n', 'init:\n'],
  ['init:\n- linuxkit/memlogd', 'init:\n'],
  [
    'init: ["@pkg:../init", "a.example/x", "docker.io/x", lkt/init, team/app]',
    'init: ["@pkg:../init", "a.example/x", "docker.io/library/x", lkt/init, team/app]',
  ],
  [
    'volumes: [{name: v, image: linuxkit/rngd:1}]',
    'volumes: [{name: v, image: docker.io/linuxkit/rngd:1}]',
  ],
  ['volumes: [{name: v}]\nkernel: {image: ""}', 'volumes: [{name: v}]\nkernel: {image: ""}'],
  [
    'onboot:\n- name: a\n  image: linuxkit/rngd\n  env:\n  - |\n    A=b\n- name: b\n  image: linuxkit/ntp:2',
    'onboot:\n- name: b\n  image: docker.io/linuxkit/ntp:2',
  ],
])('rewrites %j', (before, after) => {
  expect(migrate(before).text).toBe(after);
});

it("leaves out the microcode of LinuxKit's kernel only", () => {
  const kernel = 'kernel:\n  image: linuxkit/kernel:6\n  ucode: intel-ucode.cpio # early\n';
  const { text, notes } = migrate(kernel);
  expect(text).toBe('kernel:\n  image: lkt/linux\n  ucode: none # early\n');
  expect(notes).toHaveLength(1);
  expect(migrate(text)).toMatchObject({ text, notes: [] });
  const other = 'kernel: {image: a.example/k, ucode: u.cpio}';
  expect(migrate(other).text).toBe(other);
});

describe('sysctl', () => {
  it.each([
    ['', 'onboot: []'],
    [', binds: ["/etc/sysctl.d/01.conf:/etc/sysctl.d/01.conf"]', 'onboot: []'],
    [', binds.add: ["/etc/sysctl.d:/etc/sysctl.d"]', 'onboot: []'],
  ])('%s is done by PID 1', (more, after) => {
    expect(migrate(sysctl(more)).text).toBe(after);
  });
  it.each([
    ', binds: ["/etc/mine.conf:/etc/sysctl.d/01.conf"]',
    ', mounts: [{type: bind, source: /a, destination: /etc/sysctl.d}]',
  ])('%s stays a container', (more) => {
    expect(migrate(sysctl(more)).text).toContain('image: lkt/sysctl');
  });
});

describe('notes', () => {
  it.each([
    [
      service('linuxkit/tss:1'),
      '2: docker.io/linuxkit/tss:1: for TPM 1.2; use lkt/tpm with a TPM 2.0',
    ],
    [service('linuxkit/other:1'), '2: docker.io/linuxkit/other:1: lkt has no package for it'],
    [service('linuxkit/ip:1'), '2: linuxkit/ip:1: it is a package of this workspace, so it stays'],
    [
      service('linuxkit/getty'),
      '2: lkt/getty: sees logs, and of the machine what the config binds; for ctr, see lkt/ctr',
    ],
    [
      service('linuxkit/metadata'),
      '2: reads only disks: name the cloud, command: [/usr/bin/metadata, aws]',
    ],
    [
      service('linuxkit/mount', ', command: [mountie, /dev/sdb1, /x]'),
      '2: under lkt run, /dev/sdb1 is /dev/vdb1',
    ],
    [
      service('linuxkit/format', ', command: [format, -type, btrfs]'),
      '2: lkt/kernel-debian needs the module btrfs first: see lkt/modprobe',
    ],
    [
      service('linuxkit/mkimage'),
      '2: docker.io/linuxkit/mkimage: lkt build writes disks itself; it needs allow: [mount]',
    ],
    [
      service('linuxkit/dhcpcd', ', command: [/bin/sh, -c, date]'),
      '2: has no shell: write the program and its arguments',
    ],
    [
      service('linuxkit/format', ', command: [format, -type, xfs]'),
      '2: lkt/kernel-debian needs the module xfs first: see lkt/modprobe',
    ],
    [
      service('linuxkit/swap', ', command: [/swap.sh, --path, /var/x, --size, 1G, --encrypt]'),
      '2: lkt/kernel-debian needs the modules dm-crypt, essiv, xts first: see lkt/modprobe',
    ],
    [
      service('linuxkit/losetup'),
      '2: lkt/losetup: lkt/kernel-debian needs the module loop first: see lkt/modprobe',
    ],
    [
      service('linuxkit/binfmt'),
      '2: lkt/binfmt: lkt/kernel-debian needs the module binfmt_misc first: see lkt/modprobe',
    ],
    [
      service('x', ', mounts: [{type: cgroup}]'),
      '2: shows the cgroups of this container: it has a namespace of its own',
    ],
    [
      service('x', ', runtime: {cgroups: [a]}'),
      '2: to see these cgroups, it also needs binds: [/sys/fs/cgroup:/sys/fs/cgroup]',
    ],
    [
      service('x', ', capabilities: [all]'),
      '2: to mount or make namespaces, it also needs allow: [mount, namespaces]',
    ],
    [
      service('x', ', runtime: {interfaces: [{name: wg0, add: wireguard}]}'),
      '2: lkt/kernel-debian needs the module wireguard first: see lkt/modprobe',
    ],
    [
      service('x', ', runtime: {interfaces: [{name: a, peer: b}]}'),
      '2: lkt/kernel-debian needs the module veth first: see lkt/modprobe',
    ],
    [
      'kernel: {cmdline: linuxkit.unified_cgroup_hierarchy=0}',
      '1: words linuxkit.NAME=VALUE have no effect; cgroups are version 2',
    ],
    ['trust: {org: [linuxkit]}', '1: it does not say who must sign: add "signers" (docs/trust.md)'],
  ])('of %j', (text, note) => {
    expect(notesOf(text)).toEqual([note]);
  });
  it.each([
    service('linuxkit/metadata', ', command: [/usr/bin/metadata, openstack]'),
    service('linuxkit/poweroff', ', command: [/bin/sh, /poweroff.sh, "3"]'),
    service('x', ', capabilities: [all], allow: [mount]'),
    service('x', ', runtime: {interfaces: [{name: eth1}]}'),
    service('x', ', runtime: {cgroups: []}'),
    service('x', ', binds: ["/sys/fs/cgroup:/host:ro"], runtime: {cgroups: [a]}'),
    service(
      'x',
      ', mounts: [{type: bind, source: /sys/fs/cgroup/a, destination: /a}], runtime: {cgroups: [a]}',
    ),
    'trust: {org: [linuxkit], signers: [{images: [a], keys: [b]}]}',
    'kernel: {cmdline: console=ttyS0}',
  ])('are not made of %j', (text) => {
    expect(notesOf(text)).toEqual([]);
  });
});

describe("modules of Debian's kernel", () => {
  const kernel = 'kernel:\n  image: linuxkit/kernel:6.12.59\n';

  it('are loaded before other onboot containers', () => {
    const { text, notes } = debian(`${kernel}onboot:
  # Removed.
  - name: sysctl
    image: linuxkit/sysctl:abc
  - name: loop
    image: linuxkit/losetup:abc
services:
  - {name: x, image: linuxkit/swap, command: [/swap.sh, --encrypt]}
  - {name: y, image: linuxkit/losetup}
`);
    expect(text).toBe(`kernel:
  image: lkt/kernel-debian
onboot:
  # Removed.
  - name: modprobe
    image: lkt/modprobe
    command: [modprobe, -a, loop, dm-crypt, essiv, xts]
  - name: loop
    image: lkt/losetup
services:
  - {name: x, image: lkt/swap, command: [/swap.sh, --encrypt]}
  - {name: y, image: lkt/losetup}
`);
    expect(notes.map((note) => `${note.line}: ${note.text}`)).toEqual([
      '8: lkt/losetup: lkt/modprobe loads loop first',
      '10: lkt/modprobe loads dm-crypt, essiv, xts first',
      '11: lkt/losetup: lkt/modprobe loads loop first',
    ]);
    // A second run changes nothing.
    expect(debian(text)).toEqual({ text, changes: [], notes: [] });
  });

  it('are loaded where no container ran at boot', () => {
    expect(debian(`${kernel}${service('linuxkit/vsudd')}\n`).text).toContain(`debian
onboot:
  - name: modprobe
    image: lkt/modprobe
    command: [modprobe, -a, vmw_vsock_virtio_transport]
services:
`);
  });

  it.each([
    [
      'init:\n  - a/b\n  - linuxkit/runc:1 # last\n',
      '  - lkt/runc # last\n  - lkt/kernel-debian-modules\n',
    ],
    ['init: [a/b, linuxkit/init]\n', ', lkt/init, lkt/kernel-debian-modules]\n'],
    ['init:\n- linuxkit/init\n- linuxkit/memlogd\n', '- lkt/init\n- lkt/kernel-debian-modules\n'],
    ['init: [linuxkit/init, linuxkit/memlogd]\n', '[lkt/init, lkt/kernel-debian-modules]\n'],
    ['init: [lkt/kernel-debian-modules]\n', 'init: [lkt/kernel-debian-modules]\n'],
  ])('come with a package that has them: %j', (init, migrated) => {
    const modprobe =
      'services:\n  - {name: x, image: linuxkit/modprobe, command: [modprobe, loop]}';
    for (const last of [service('linuxkit/losetup'), modprobe]) {
      const { text } = debian(`${kernel}${init}${last}`);
      expect(text).toContain(migrated);
      expect(text.match(/kernel-debian-modules/g)).toHaveLength(1);
      expect(debian(text)).toEqual({ text, changes: [], notes: [] });
    }
    expect(debian(`${kernel}init: [a/b]\n`).text).not.toContain('modules');
  });

  it.each([
    // The kernel is the user's.
    service('linuxkit/losetup'),
    // A list in brackets.
    `${kernel}onboot: [{name: x, image: linuxkit/losetup}]`,
  ])('are for the user to load in %j', (given) => {
    const { text, notes } = debian(given);
    expect(text).not.toContain('modprobe');
    expect(notes.map((note) => note.text)).toEqual([
      'lkt/losetup: lkt/kernel-debian needs the module loop first: see lkt/modprobe',
    ]);
  });
});

it('rejects what is no config, and leaves anchors to the user', () => {
  expect(() => migrate('a: 1')).toThrow('a.yml:1:1: unknown key "a"');
  expect(() => migrate('init: [a/B]')).toThrow('a.yml:1:8: init[0]: "a/B" is not an image');
  expect(() => migrate('init: &a []\nonboot: *a')).toThrow('aliases are not allowed');
});

it('is documented for all 42 packages', () => {
  expect(LINUXKIT_PACKAGES.size).toBe(42);
  const text = readFileSync(new URL('../../../../docs/linuxkit.md', import.meta.url), 'utf8');
  expect(text).toContain(packageList().join('\n'));
});
