import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tinyProgram } from '@lkt/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TimeServer, timeServer } from './helpers/time-server.ts';
import { examplePart } from './helpers/example.ts';
import { banner, boot, type Guest, makeHome, sshOutput } from './helpers/guest.ts';
import { freePort, lkt, root } from './helpers/lkt.ts';
import { probeReport } from './helpers/probe.ts';
import { awaited, comparedFacts } from '../roles.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-network-'));
const home = makeHome(join(dir, 'home'));
const key = readFileSync(join(home, '.ssh/id_ed25519.pub'), 'utf8');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Pair {
  readonly secret: string;
  readonly shown: string;
}

/** Returns a WireGuard key pair, as wg(8) prints it. */
function pair(): Pair {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  const [secret = '', shown = ''] = [d, x].map((text) =>
    Buffer.from(text, 'base64url').toString('base64'),
  );
  return { secret, shown };
}

/** Writes a metadata disk with the files that the example's machines take from it. */
async function metadata(name: string, tunnel: string): Promise<string> {
  const disk = join(dir, `${name}.iso`);
  const data = {
    hostname: { content: name },
    ssh: { entries: { authorized_keys: { perm: '0600', content: key } } },
    wireguard: { entries: { 'wg0.conf': { perm: '0600', content: tunnel } } },
  };
  const done = await lkt(['metadata', 'create', disk, JSON.stringify(data)]);
  expect(done.status, done.stderr).toBe(0);
  return disk;
}

/** Reports whether node_exporter responds: it may take a while after its start. */
async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/`)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false; // connection closed
    throw error;
  }
}

/** Builds an example with additions. */
async function build(name: string, more: string): Promise<string> {
  const file = join(dir, `${name}-more.yml`);
  writeFileSync(file, more);
  const example = join(root, `examples/${name}.yml`);
  const done = await lkt(['build', '--dir', dir, '--name', name, example, file]);
  expect(done.status, done.stderr).toBe(0);
  return join(dir, name);
}

/** Services of the machines, as the examples pin them. */
const sshd = examplePart('metadata', '  - name: sshd', '# Each image must');
const exporter = examplePart('node_exporter', '  - name: node_exporter', '# Each image must');
/** Without DHCP, which its machine lacks. */
const ntp = examplePart('logging', '  - name: ntp', 'files:').replace('    after: [dhcp]\n', '');

/** Makes btrfs on an empty disk, grows it if it can, and mounts it. */
const btrfs = `${examplePart('volumes', '  - name: format', '  # Services bind')}  - name: extend
    image: "@pkg:${join(root, 'pkg/extend')}"
    command: [/usr/bin/extend, -type, btrfs, /dev/vdb]
${examplePart('volumes', '  - name: mount', 'services:')}`.replace(
  '[/usr/bin/format,',
  '$& -type, btrfs,',
);

/** Release of Debian's kernel. */
const [, release = ''] =
  /linux-image-(\S+)\]/.exec(readFileSync(join(root, 'kernel/debian-base/build.yml'), 'utf8')) ??
  [];

/** Services whose processes the probe compares with their roles, and the password of `getty`. */
function confined(): string {
  const hash = execFileSync('openssl', ['passwd', '-6', PASSWORD], { encoding: 'utf8' }).trim();
  const getty = examplePart('getty', '  - name: getty', '    env:');
  return `${getty}
  - name: probe
    image: "@pkg:${join(root, 'tools/probe')}"
    after: [ntp, getty]
    env: ['PROBE_AWAIT=${awaited('network')}']
${examplePart('hypervisor', '  - name: vsudd', '# Each image must').trimEnd()}
  # On the machine itself, by the loopback of vsock.
  - name: host
    image: "@pkg:${join(root, 'tools/puppet')}"
    allow: [vsock]
    command: [/puppet, ask-memlogd, 'vsock:1:2021', ntp, wait]
    after: [ntp, vsudd]
    ready: { log: memlogd says of }
  - {name: auditd, image: "@pkg:${join(root, 'pkg/auditd')}", restart: on-failure}
${waiting('ip', '/usr/bin/ip', '-batch', '/dev/ptmx')}
${waiting('metadata', '/usr/bin/metadata', 'file=/dev/ptmx', 'scaleway')}
${waiting('modprobe', '/usr/bin/modprobe', 'absent')}
    binds: [/var/modules:/lib/modules:ro]
${waiting('mount', '/usr/bin/mountie', '-label', 'absent', '/var/absent')}
files:
  # A module for each network device of QEMU, another for what QEMU lacks.
  - path: usr/lib/modules/${release}/modules.alias
    mode: "0644"
    contents: |
      alias virtio:d00000001v* nft_chain_nat
      alias virtio:d0000FFFFv* nft_compat
      alias scsi:t-0x05* xt_mark
  - path: etc/issue
    contents: "the greeting before\\n"
  - path: etc/motd
    contents: "the message of the day\\n"
  - path: etc/foreign
    source: foreign
    mode: '0755'
  - path: etc/getty.shadow
    contents: 'root:${hash}:::::::'
    mode: '0600'
`;
}

/**
 * Returns a service of a package whose program waits: for input from a terminal, for a disk, or for
 * the writer of a pipe in place of its file.
 */
function waiting(name: string, ...command: readonly string[]): string {
  return `  - name: waiting-${name}
    image: "@pkg:${join(root, 'pkg', name)}"
    command: ${JSON.stringify(command)}
    restart: always`;
}

/** Returns a QEMU whose clock begins in 2001, with a bus for devices that {@link plugIn} adds. */
function withoutBattery(monitor: string): string {
  const file = join(dir, 'qemu');
  const devices = `-device virtio-scsi-pci,id=plugs -qmp unix:${monitor},server=on,wait=off`;
  const script = `#!/bin/sh\nexec qemu-system-x86_64 "$@" -rtc base=2001-01-01 ${devices}\n`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}

/** Adds a CD-ROM drive to the running machine. */
async function plugIn(monitor: string): Promise<void> {
  const qmp = connect(monitor);
  const add = { driver: 'scsi-cd', bus: 'plugs.0', id: 'drive' };
  for (const [execute, args] of [['qmp_capabilities'], ['device_add', add]] as const)
    qmp.write(`${JSON.stringify({ execute, arguments: args })}\n`);
  let said = '';
  while (said.split('"return"').length < 3) {
    const [chunk] = (await once(qmp, 'data')) as [Buffer];
    said += String(chunk);
    expect(said).not.toContain('"error"');
  }
  qmp.destroy();
}

const PASSWORD = 'a secret of the test';

/** Offset of the time server's clock in seconds. */
const AHEAD = 1000;

// The second machine has Debian's kernel, and so loads modules: file systems before the root is
// mounted, others in a step.
describe('two machines with a tunnel, one with a static address', () => {
  let a: Guest;
  let b: Guest;
  let server: TimeServer;
  let metrics = 0;

  beforeAll(async () => {
    const [keyA, keyB] = [pair(), pair()];
    const port = await freePort();
    metrics = await freePort();
    server = await timeServer(AHEAD);
    const diskA = await metadata(
      'a',
      `[Interface]
Address = 10.77.0.1/24, fd00:77::1/64
PrivateKey = ${keyA.secret}
ListenPort = 51820
[Peer]
PublicKey = ${keyB.shown}
AllowedIPs = 10.77.0.2, fd00:77::2
`,
    );
    const diskB = await metadata(
      'b',
      `[Interface]
Address = 10.77.0.2/24, fd00:77::2/64
PrivateKey = ${keyB.secret}
[Peer]
PublicKey = ${keyA.shown}
AllowedIPs = 10.77.0.1, 10.78.0.0/16, fd00:77::1
Endpoint = 10.0.2.2:${port}
`,
    );
    writeFileSync(join(dir, 'foreign'), tinyProgram('arm64'));
    const prefixA = await build('wireguard', `services:\n${sshd}${exporter}`);
    const prefixB = await build(
      'static-ip',
      `layout: erofs
kernel:
${examplePart('debian-kernel', '  image: lkt/kernel-debian:', '  cmdline:')}init:
${examplePart('debian-kernel', '  - lkt/kernel-debian-modules:', 'onboot:')}onboot:
${examplePart('debian-kernel', '  - name: modprobe', 'services:')}
${examplePart('wireguard', '  - name: metadata', 'services:')}
  - name: modules
    image: "@pkg:${join(root, 'tools/puppet')}"
    command: [/puppet, say, plug it in, await, /sys/module/xt_mark, pipe, /var/modules/${release}/modules.dep]
    binds: ['/var:/var']
${examplePart('binfmt', '  - name: modprobe', 'services:').replace('binfmt_misc]', '-a, binfmt_misc, vsock_loopback, btrfs]')}
${btrfs}  - name: foreign
    image: "@pkg:${join(root, 'tools/puppet')}"
    command: [/foreign]
    binds: ['/etc/foreign:/foreign:ro,nosuid,nodev']
services:
${sshd.trimEnd()}
      - /usr/bin/service:/usr/local/bin/service
      - /containers:/containers
      - /run/containerd:/run/containerd
      - /etc/motd:/etc/motd:ro,nosuid,nodev,noexec
${ntp.replaceAll('10.0.2.2', `10.0.2.2:${server.port}`).trimEnd()}
    ready: { log: the clock is }
${exporter.trimEnd()}
${confined()}`,
    );
    const lead = [`127.0.0.1:${port}:51820/udp`, `127.0.0.1:${metrics}:9100`];
    a = await boot(prefixA, ['--disk', diskA, ...lead.flatMap((to) => ['--publish', to])]);
    const monitor = join(dir, 'monitor');
    const data = `file=${join(dir, 'data.img')},size=300M,format=raw`;
    const disks = ['--disk', diskB, '--disk', data];
    b = await boot(prefixB, [...disks, '--qemu', withoutBattery(monitor)]);
    await b.until('plug it in');
    await plugIn(monitor);
    for (const guest of [a, b]) await guest.until('lkt: boot complete');
    for (let tries = 0; tries < 60 && (await banner(b.port)) === undefined; tries += 1)
      await sleep(500);
    for (let tries = 0; tries < 60 && !(await answers(metrics)); tries += 1) await sleep(500);
  }, 1_800_000);
  afterAll(async () => {
    await a?.[Symbol.asyncDispose]();
    await b?.[Symbol.asyncDispose]();
    server?.[Symbol.dispose]();
  });

  test("boot this repository's kernel, without modules, and Debian's", async () => {
    const said = await sshOutput(b.port, home, 'uname -r; cat /proc/modules /proc/mounts');
    expect(said).toMatch(/^6\.\d+\.\d+\+deb\d+-cloud-amd64$/m);
    for (const module of ['erofs', 'wireguard', 'dm_crypt', 'loop', 'bridge'])
      expect(said).toMatch(new RegExp(`^${module} \\d+ \\d`, 'm'));
    expect(said).toMatch(/^nft_chain_nat \d/m);
    expect(said).not.toMatch(/^nft_compat /m);
    expect(b.console()).toMatch(/^lkt: modules loaded for devices: 1 \d/m);
    expect(said).toMatch(/^roots\/root\.erofs \/etc\/resolv\.conf erofs ro,/m);
    const metricsOfA = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
    expect(metricsOfA).toMatch(/^node_uname_info\{.*release="6\.\d+\.\d+-lkt"/m);
  });

  test('load the module of a device that is plugged in while they boot', () => {
    expect(b.console()).toMatch(/plug it in[^]*lkt: onboot \d+-modules \d/);
  });

  test('run programs for another architecture, once lkt/binfmt has registered QEMU', () => {
    const said = b.console();
    expect(said).toMatch(/^onboot\.\d+-binfmt: binfmt: qemu-aarch64 is interpreted by \/usr\//m);
    expect(said).not.toContain('qemu-s390x');
    expect(said).toMatch(/^onboot\.\d+-foreign: arm64\r?$/m);
  });

  test('make btrfs on a disk, and mount it', () => {
    const said = b.console();
    expect(said).toMatch(
      /^onboot\.\d+-format: format: \/dev\/vdb1 has btrfs with the label "data"/m,
    );
    expect(said).toMatch(/^onboot\.\d+-extend: extend: \/dev\/vdb1: already at full size/m);
    expect(said).toMatch(
      /^onboot\.\d+-mount: mountie: \/dev\/vdb1 \(btrfs with the label "data"\) is on \/var\/lib\/data/m,
    );
  });

  test('forward connections by vsock to a Unix socket', () => {
    expect(b.console()).toMatch(/memlogd says of ntp: /);
  });

  test('have the address, route and name server of static-ip.yml', async () => {
    const said = await sshOutput(b.port, home, 'ip addr show eth0; ip route; cat /etc/resolv.conf');
    expect(said).toContain('inet 10.0.2.15/24 ');
    expect(said).toContain('default via 10.0.2.2 dev eth0');
    expect(said).toContain('nameserver 10.0.2.3\n');
  });

  test('show the output of onboot containers on the console, and of services not', () => {
    expect(a.console()).toMatch(/^onboot\.\d+-wg0: lk-wg-config: wg0 has 10\.77\.0\.1\/24/m);
    expect(a.console()).not.toMatch(/^node_exporter: /m);
  });

  test('reach each other through the tunnel', async () => {
    const routes = await sshOutput(b.port, home, 'ip route show table all; ip rule');
    expect(routes).toMatch(/^10\.78\.0\.0\/16 dev wg0 table 51820 /m);
    expect(routes).toMatch(/^32000:\s+from all lookup 51820/m);
    for (const [port, peer] of [
      [a.port, 'fd00:77::2'],
      [b.port, 'fd00:77::1'],
    ] as const) {
      const routes6 = await sshOutput(port, home, 'ip -6 route show table all; ip -6 rule');
      expect(routes6).toMatch(new RegExp(`^${peer} dev wg0 table 51820 `, 'm'));
      expect(routes6).toMatch(/^32000:\s+from all lookup 51820/m);
    }
    for (const address of ['10.77.0.1', '[fd00:77::1]']) {
      const command = `wget -q -T 60 -O - http://${address}:9100/metrics; cat /proc/net/dev`;
      const said = await sshOutput(b.port, home, command);
      expect(said).toContain('node_uname_info{');
      expect(said).toContain('nodename="a"');
      const [, received = '0'] = /^ *wg0: *(\d+)/m.exec(said) ?? [];
      expect(Number(received)).toBeGreaterThan(10_000);
    }
  });

  test('show the message of the day to logins by SSH that are interactive', async () => {
    const shown = await sshOutput(b.port, home, 'sh -l -i -c "echo hello"; sh -l -c "echo silent"');
    expect(shown).toMatch(/\nthe message of the day\r?\nhello\r?\nsilent\r?\n$/);
  });

  test('export metrics of the tunnel, the file systems and the containers', async () => {
    const answer = await fetch(`http://127.0.0.1:${metrics}/metrics`);
    const text = await answer.text();
    expect(text).not.toMatch(/^node_scrape_collector_success\{.*\} 0$/m);
    expect(text).toMatch(/^node_filesystem_size_bytes\{.*fstype="tmpfs",mountpoint="\/var"\} \d/m);
    expect(text).toMatch(/^container_cpu_usage_seconds_total\{id="\S*node_exporter",/m);
    expect(text).toMatch(/^container_memory_usage_bytes\{id="\S*node_exporter",.*\} [1-9]/m);
    expect(text).toMatch(/^container_threads_max\{id="\S*node_exporter",.*\} 64$/m);
    expect(text).toMatch(/^container_pressure_io_waiting_seconds_total\{id="\/",/m);
    const sent = /^node_network_transmit_bytes_total\{device="wg0"\} (\S+)$/m.exec(text)?.[1];
    expect(Number(sent)).toBeGreaterThan(10_000);
  });

  test('begin no earlier than the date of the sources', () => {
    expect(b.console()).toMatch(/^lkt: the clock was at 2001-01-01, and is set to 20[2-9]\d-/m);
    expect(a.console()).not.toContain('lkt: the clock was at');
  });

  test('run programs with exactly the privileges of their roles.json', async () => {
    await b.until('=== END');
    const { seen, expected } = comparedFacts('network', probeReport(b.console()).facts);
    expect(seen).toEqual(expected);
  });

  test('log in on the console with the password, and only with it', async () => {
    b.type('\n');
    await b.until(' login: ');
    b.type('root\n');
    await b.until('Password: ');
    b.type('wrong\n');
    await b.until('Login incorrect');
    const count = (text: string): number => b.console().split(text).length - 1;
    await expect.poll(() => count(' login: '), { timeout: 60_000 }).toBeGreaterThan(1);
    b.type('root\n');
    await expect.poll(() => count('Password: '), { timeout: 60_000 }).toBe(2);
    b.type(`${PASSWORD}\n`);
    // login discards what is typed before it starts the shell, which first shows the message.
    await b.until('\nthe message of the day\r\n');
    b.type('echo login-$((6*7)) $(id -u) $(tty)\n');
    await b.until('login-42 0 /dev/ttyS0');
    expect(b.console()).not.toContain(PASSWORD);
    // PID 1 greets once, and each prompt again. Between them may be lines of other services.
    const [, prompt = ''] =
      /the greeting before[^]*the greeting before\r\n([^]*)/.exec(b.console()) ?? [];
    expect(prompt).toMatch(/^\S+ login: [^]*\nthe message of the day\r\n[^]*login-42/m);
  });

  test('set the clock once from a time server', async () => {
    const asked = 'cat /var/log/ntp.log; date +%s';
    let said = '';
    for (let tries = 0; tries < 60 && !said.includes('the clock is set by'); tries += 1) {
      said = await sshOutput(b.port, home, asked);
      await sleep(1000);
    }
    expect(said).toMatch(/ ntp: the clock is set by \S+ \(1 of 1 servers agree\)\n/);
    const seconds = Number(said.trim().split('\n').at(-1));
    expect(Math.abs(seconds - Date.now() / 1000 - AHEAD)).toBeLessThan(60);
  });

  test('take no large step after a restart of the program', async () => {
    server.ahead = AHEAD + 7200;
    await sshOutput(b.port, home, 'service restart ntp');
    const asked = 'cat /var/log/ntp.log; date +%s';
    let said = '';
    for (let tries = 0; tries < 60 && !said.includes('set since the boot'); tries += 1) {
      said = await sshOutput(b.port, home, asked);
      await sleep(1000);
    }
    expect(said).toContain('set since the boot, is off by 2h0m0s, more than 16m40s\n');
    const seconds = Number(said.trim().split('\n').at(-1));
    expect(Math.abs(seconds - Date.now() / 1000 - AHEAD)).toBeLessThan(60);
  });

  test('take no more small steps together than one large one', async () => {
    const restarted = async (ahead: number, says: RegExp): Promise<void> => {
      server.ahead = ahead;
      await sshOutput(b.port, home, 'service restart ntp');
      await expect
        .poll(async () => sshOutput(b.port, home, 'cat /var/log/ntp.log'), { interval: 1000 })
        .toMatch(says);
    };
    await restarted(AHEAD + 720, /the clock is set by 1[12]m/);
    await restarted(AHEAD + 1440, /is off by 1[12]m\d+s, more than 4m/);
    server.ahead = AHEAD;
  });
});
