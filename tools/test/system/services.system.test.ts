import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examplePart } from './helpers/example.ts';
import { boot, type Guest } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';
import { probeReport } from './helpers/probe.ts';
import { awaited, comparedFacts } from '../roles.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-services-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const packageIn = (path: string): string => `"@pkg:${join(root, path)}"`;
const image = packageIn('tools/puppet');
const poweroff = packageIn('pkg/poweroff');
const logs = packageIn('pkg/logs');
const ip = packageIn('pkg/ip');
const none = '{ defaultAction: SCMP_ACT_ALLOW, architectures: [SCMP_ARCH_X86_64], syscalls:';
const noMkdir = `${none} [{ names: [mkdir, mkdirat], action: SCMP_ACT_ERRNO }] }`;

/** Returns part of an example whose services may take ten minutes to be ready, on a busy host. */
const patientPart = (example: string, from: string, to: string): string =>
  examplePart(example, from, to).replaceAll(/ready: \{ (.*) \}/g, 'ready: { $1, timeout: 600 }');

/** A service or onboot container per feature to test. */
const config = `
files:
  - path: etc/case
    contents: a file of the root
  - path: etc/sysctl.d/90-own.conf
    contents: |
      vm.max_map_count = 100000
      vm.not_there = 1
  - path: etc/issue
    contents: "\\nWelcome to the services\\n"
  - path: etc/sysfs.d/10-own.conf
    contents: |
      kernel/mm/transparent_hugepage/khugepaged/pages_to_scan = 123
      -kernel/mm/not/there = 1
      block/ram0/not_there = 1
  - path: etc/containerd/runtime-config.toml
    contents: cliopts = "--log-level info --config /x"
  - path: etc/audit/audit.rules
    contents: -b 1024
  # The tunnel of LinuxKit's test 023_wireguard.
  - path: etc/wireguard/wg0.conf
    contents: |
      [Interface]
      Address = 192.168.2.1/24
      PrivateKey = KG7EKkHDkp7THfW5mOXcZzo3RbGAjq+ARMfJGFm5G1s=
      ListenPort = 51820
      [Peer]
      PublicKey = ZP7h1OjA1oIAmsAvMKujp2RAAC/f0kY814b3Xq6j/0Y=
      AllowedIPs = 0.0.0.0/0
      Endpoint = 127.0.0.1:51821
  - path: etc/wireguard/wg1.conf
    contents: |
      [Interface]
      Address = 192.168.2.2/24
      PrivateKey = SCGCKDuTm4PMOw+LXdK/2s8mxnv145QHOohKRq3vc2A=
      ListenPort = 51821
      [Peer]
      PublicKey = AcS5t3PC5nL/oj0sYhc3yFpDlRaXoJ0mfEq6iq0rFF4=
      AllowedIPs = 0.0.0.0/0
      Endpoint = 127.0.0.1:51820
volumes:
  - name: blank
  - name: filled
    image: ${image}
  - name: fixed
    image: ${image}
    readonly: true
onboot:
  - name: writes
    image: ${image}
    command: [/puppet, touch, /data/new, has, /filled/puppet, touch, /filled/more, say, both are written]
    binds: ['blank:/data', 'filled:/filled']
  - name: reads
    image: ${image}
    command: [/puppet, has, /data/new, has, /filled/more, touch-not, /data/no, has, /fixed/puppet, touch-not, /fixed/no]
    binds: ['blank:/data:ro', 'filled:/filled', 'fixed:/fixed:ro']
  - name: binds
    image: ${image}
    command: [/puppet, has, /host/case, touch-not, /host/no, touch-not, /case]
    binds: ['/etc:/host:ro', '/etc/case:/case']
  - name: sysctls
    image: ${image}
    command: [/puppet, show, /proc/sys/vm/swappiness, show, /proc/sys/vm/max_map_count,
      show, /proc/sys/fs/inotify/max_user_instances]
  - name: fails
    image: ${image}
    command: [/puppet, say, a-reason, fail-until, '2', /run/puppet/never]
  - name: wg0
    image: ${ip}
    net: new
    binds: ['/etc/wireguard:/etc/wireguard']
    command: [/usr/bin/lk-wg-config, configure, /etc/wireguard/wg0.conf]
    runtime:
      interfaces: [{ name: wg0, add: wireguard, createInRoot: true }]
      bindNS: { net: /run/netns/wg0 }
  - name: wg1
    image: ${ip}
    net: new
    binds: ['/etc/wireguard:/etc/wireguard']
    command: [/usr/bin/lk-wg-config, configure, /etc/wireguard/wg1.conf]
    runtime:
      interfaces: [{ name: wg1, add: wireguard, createInRoot: true }]
      bindNS: { net: /run/netns/wg1 }
  - name: pair
    image: ${image}
    net: new
    command: [/puppet, has, /sys/class/net/end, has, /sys/class/net/lo]
    runtime:
      interfaces: [{ name: end, peer: far }]
      bindNS: { net: /run/netns/pair }
${examplePart('auditd', '  - name: sysfs', 'services:')}  - name: attributes
    image: ${image}
    command: [/puppet, show, /sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan]
services:
${patientPart('hypervisor', '  - name: qemu-ga', '# Each image must')}${patientPart('auditd', '  - name: auditd', 'files:')}  - name: far
    image: ${image}
    net: new
    command: [/puppet, has, /sys/class/net/far, say, it has far, wait]
    runtime:
      interfaces: [{ name: far }]
  - name: tunnel
    image: ${image}
    net: /run/netns/wg0
    command: [/puppet, serve, '192.168.2.1:8080', through the tunnel, listen, /run/puppet/served, wait]
    ready: { socket: /run/puppet/served, timeout: 600 }
  - name: client
    image: ${image}
    net: /run/netns/wg1
    command: [/puppet, ask, '192.168.2.1:8080', wait]
    after: [tunnel]
    ready: { log: says, timeout: 600 }
  - name: by-socket
    image: ${image}
    command: [/puppet, sleep, '2', listen, /run/puppet/socket, wait]
    ready: { socket: /run/puppet/socket, timeout: 600 }
  - name: by-log
    image: ${image}
    command: [/puppet, sleep, '1', say, it works now, wait]
    after: [by-socket]
    ready: { log: works now, timeout: 600 }
  - name: by-exec
    image: ${image}
    command: [/puppet, sleep, '1', touch, /run/puppet/there, wait]
    after: [by-log]
    ready: { exec: [/puppet, has, /run/puppet/there], timeout: 600 }
  - name: hung-exec
    image: ${image}
    command: [/puppet, sleep, '6', count, touch, /run/puppet/counted, wait]
    ready: { exec: [/puppet, hang], timeout: 1 }
  - name: last
    image: ${image}
    command: [/puppet, wait]
    after: [by-exec]
    ready: { exec: [/puppet, has, /run/puppet/counted], timeout: 600 }
  - name: fails-twice
    image: ${image}
    net: new
    command: [/puppet, has, /sys/class/net/inner, fail-until, '3', /run/puppet/count, wait]
    restart: on-failure
    runtime:
      interfaces: [{ name: inner, add: veth, peer: outer }]
  - name: never-ready
    image: ${image}
    command: [/puppet, wait]
    ready: { socket: /run/puppet/nothing, timeout: 2 }
  - name: after-never
    image: ${image}
    command: [/puppet, wait]
    after: [never-ready]
  - name: filtered
    image: ${image}
    command: [/puppet, mkdir, /run/puppet/new]
    seccomp: ${noMkdir}
  - name: flood
    image: ${image}
    command: [/puppet, flood, '3000000', sleep, '4', listen, /run/puppet/flooded, wait]
    ready: { socket: /run/puppet/flooded, timeout: 600 }
  - name: shows
    image: ${logs}
    command: [/usr/bin/lkt-logs, -f, by-log, handed-over]
    readonly: true
    binds: [/var/log:/var/log:ro]
    after: [last]
    ready: { log: handed-over it was sent, timeout: 600 }
  - name: lists
    image: ${logs}
    command: [/usr/bin/lkt-logs, -list]
    readonly: true
    binds: [/var/log:/var/log:ro]
    after: [flood]
  - name: asks
    image: ${image}
    command: [/puppet, send-log, /run/linuxkit-external-logging.sock, handed-over, it was sent,
      ask-memlogd, /run/memlogdq.sock, by-log]
    binds: [/run:/run]
    after: [last]
  - name: ender
    image: ${poweroff}
    command: [/usr/bin/poweroff, '6']
    after: [last, shows, lists, asks, client, qemu-ga, vmtoolsd, auditd]
onshutdown:
  - name: turns
    image: ${image}
    command: [/puppet, fail-until, '2', /run/puppet/turns]
    onfailure: reboot
`;

/** Compares processes of the machine that ends by its host with their roles. */
const probe = `  - name: probe
    image: ${packageIn('tools/probe')}
    env: ['PROBE_AWAIT=${awaited('services')}']
    after: [last, shows, lists, asks, client, qemu-ga, vmtoolsd, vsudd, auditd]
`;

/** Returns a program that starts QEMU with a port for the guest's agent. */
function withAgent(socket: string): string {
  const path = join(dir, 'qemu');
  const port = 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0';
  const devices = `-device virtio-serial-pci -chardev socket,path=${socket},server=on,wait=off,id=agent -device ${port}`;
  writeFileSync(path, `#!/bin/sh\nexec qemu-system-x86_64 "$@" ${devices}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Asks the guest's agent, and returns its answers to the given commands. */
async function askAgent(socket: string, commands: readonly string[]): Promise<string[]> {
  const client = connect(socket);
  client.write(commands.map((execute) => `${JSON.stringify({ execute })}\n`).join(''));
  let answers = '';
  // The answer to a shutdown is the end of the machine.
  for await (const chunk of client) {
    answers += String(chunk);
    if (answers.split('\n').length > commands.length) break;
  }
  return answers.trim().split('\n');
}

/** Returns an example without its services, with a layout and the services above. */
function machine(example: string, layout: string): string {
  const text = readFileSync(join(root, `examples/${example}.yml`), 'utf8');
  const top = text.slice(0, text.search(/^(?:onboot|services):/m));
  const bounds = 'lkt.logs.size=128K lkt.logs.rate=4K';
  const cmdline = `console=ttyS0 lkt.logs.console=all ${bounds} sysctl.vm.swappiness=42`;
  const services =
    example === 'tiny'
      ? config
          .replace("poweroff, '6'", "poweroff, '600'")
          .replace(/^onshutdown:\n/m, (line) => `${probe}${line}`)
      : config;
  return `layout: ${layout}\n${top.replace('console=ttyS0', cmdline)}${services}`;
}

describe.each([
  ['containerd and runc', 'minimal', 'erofs'],
  ['PID 1 and crun', 'tiny', 'solid'],
])('services under %s', (_, example, layout) => {
  let guest: Guest;
  let answers: readonly string[];
  const name = `services-${example}`;

  beforeAll(async () => {
    const file = join(dir, `${name}.yml`);
    writeFileSync(file, machine(example, layout));
    const done = await lkt(['build', '--dir', dir, file]);
    expect(done.status, done.stderr).toBe(0);
    const socket = join(dir, `${name}.socket`);
    guest = await boot(join(dir, name), ['--networking', 'none', '--qemu', withAgent(socket)]);
    await guest.until('lkt: service qemu-ga ');
    answers = await askAgent(socket, ['guest-ping', 'guest-get-osinfo', 'guest-exec']);
    // One machine ends by its service, the other by its host, which opens the port again.
    if (example === 'tiny') {
      await guest.until('lkt: boot ended ');
      await guest.until('=== END');
      await askAgent(socket, ['guest-shutdown']);
    }
    await guest.until('lkt: bye');
  }, 1_800_000);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  /** Returns the steps of PID 1 without their times. */
  const steps = (): string[] =>
    [...guest.console().matchAll(/lkt: (.*?) \d+\.\d{3}\r?\n/g)].map(([, text]) => text ?? '');
  const at = (text: string): number => {
    const found = steps().indexOf(text);
    expect(found, `${text}\n${steps().join('\n')}`).not.toBe(-1);
    return found;
  };

  test('are greeted by /etc/issue', () => {
    expect(guest.console()).toMatch(/^Welcome to the services\r\n[^]*lkt: logs /m);
  });

  test('share volumes and directories of the root, and write only where allowed', () => {
    const said = guest.console();
    expect(said).toMatch(/^onboot.000-writes: both are written\r?$/m);
    const refused = [...said.matchAll(/^onboot\.\S+: open (\S+): read-only file system\r?$/gm)];
    expect(refused.map(([, path]) => path)).toEqual(['/data/no', '/fixed/no', '/host/no', '/case']);
  });

  test('see sysctls of the command line, of lkt/init, and of the image, which override those of lkt/init', () => {
    const found = [...guest.console().matchAll(/: \/proc\/sys\/[\w/]+\/(\w+): (\S+)\r?$/gm)];
    expect(Object.fromEntries(found.map(([, key, value]) => [key, value]))).toEqual({
      swappiness: '42',
      max_user_instances: '2147483647',
      max_map_count: '100000',
    });
    at('/etc/sysctl.d/90-own.conf:2: unknown parameter vm.not_there');
    expect(guest.console()).not.toContain('sysctl parameter');
  });

  test('start when their dependencies are ready: by a socket, a log line or a command', () => {
    const order = ['by-socket', 'by-log', 'by-exec', 'last', 'ender'];
    const seen = order.map((service) => at(`service ${service}`));
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });

  test('restart while they fail, after a pause that grows', () => {
    const restarts = /lkt: service fails-twice restarts in (\S+) (\d+\.\d{3})\r?\n/g;
    const [first, second, ...more] = [...guest.console().matchAll(restarts)];
    expect(more).toEqual([]);
    expect(first?.[1]).toBe('1s');
    // A program that ran for a minute, as on a slow machine, counts as one that worked.
    const isSlow = Number(second?.[2]) - Number(first?.[2]) > 60;
    expect(second?.[1]).toMatch(isSlow ? /^[12]s$/ : /^2s$/);
  });

  test('answer the host, which cannot start programs', () => {
    expect(answers[0]).toBe('{"return":{}}');
    expect(JSON.parse(answers[1] ?? '')).toMatchObject({
      return: { id: 'lkt', 'kernel-release': expect.stringMatching(/^6\./) as unknown },
    });
    expect(answers[2]).toContain('"class":"CommandNotFound"');
    at('service vsudd');
  });

  test('end without a restart if they lack their host', () => {
    expect(guest.console()).toMatch(
      /^vmtoolsd: .*this machine does not run on VMware, so no host asks\r?$/m,
    );
    at('service vmtoolsd exited with status 0');
    expect(steps().filter((step) => step.startsWith('service vmtoolsd restarts'))).toEqual([]);
  });

  if (example === 'minimal')
    test("share a containerd with the options of LinuxKit's runtime-config.toml", () => {
      expect(guest.console()).toMatch(/^containerd: .*level=info /m);
      at('containerd: --config /x has no effect');
    });

  if (example === 'tiny')
    test('have exactly the privileges of their roles.json', () => {
      const { seen, expected } = comparedFacts('services', probeReport(guest.console()).facts);
      expect(seen).toEqual(expected);
    });

  test('receive the audit records of the kernel', () => {
    expect(guest.console()).toMatch(/^auditd: type=CONFIG_CHANGE msg=audit\(\d+\.\d+:\d+\): /m);
  });

  test('set attributes in /sys, and count those that are missing as a failure', () => {
    at('onboot 008-sysfs failed: exit status 1');
    expect(guest.console()).toMatch(/sysfs\.d\/10-own\.conf:3: openat block\/ram0/);
    expect(guest.console()).toMatch(/\/khugepaged\/pages_to_scan: 123\r?$/m);
  });

  test('have the network interfaces of their runtime.interfaces, also when they start again', () => {
    at('onboot 007-pair');
    expect(guest.console()).toMatch(/^far: it has far\r?$/m);
    expect(guest.console()).toMatch(/^client: 192\.168\.2\.1:8080 says: through the tunnel\r?$/m);
  });

  test('fail after their timeout, with their dependents', () => {
    at('service never-ready failed: not ready after 2s');
    at('service after-never failed: dependency never-ready is not ready');
    expect(steps()).not.toContain('service after-never');
  });

  test('keep no command of a readiness check that did not end', () => {
    at('service hung-exec failed: not ready after 1s');
    // The service, and at most the check that runs, with its runtime.
    expect(guest.console()).toMatch(/^hung-exec: processes: [1-3]\r?$/m);
  });

  test('cannot make system calls that their filter forbids', () => {
    at('service filtered exited with status 1');
  });

  test('count in the number of failures, as onboot containers do', () => {
    at('onboot 004-fails failed: exit status 1');
    expect(guest.console()).toMatch(
      /^onboot\.004-fails: a-reason\r\n[^]*?lkt: onboot 004-fails failed/m,
    );
    at('boot ended with 5 failures');
  });

  test('have logs that lkt-logs shows in a container and memlogd clients read and write', () => {
    const said = guest.console();
    expect(said).toMatch(/^by-log: it works now\r?$/m);
    expect(said).toMatch(/^shows: [-0-9]{10}T[:.0-9]{12}Z by-log it works now\r?$/m);
    expect(said).toMatch(/^shows: \S+ handed-over it was sent\r?$/m);
    expect(said).toMatch(/^asks: memlogd says of by-log: it works now\r?$/m);
  });

  test('lose lines above their rate limit, and keep their size limit', () => {
    const list = /^lists: flood +(\d+) +(\d+) +(\d+) +0 +(\d+)\r?$/m.exec(guest.console());
    const [lines = 0, bytes = 0, dropped = 0, kept = 0] = (list ?? []).slice(1).map(Number);
    expect(lines + dropped).toBeGreaterThan(3_000_000 / 93);
    expect(dropped).toBeGreaterThan(20_000);
    expect(kept).toBeLessThanOrEqual(128 * 1024);
    expect(kept).toBeGreaterThan(32 * 1024);
    expect(bytes).toBeGreaterThan(kept);
    expect(guest.console()).toMatch(/^flood: lkt-logs: \d+ lines dropped/m);
  });

  test('end with the machine, and a container that fails then decides how it ends', () => {
    const order = ['poweroff', 'onshutdown 000-turns failed: exit status 1'];
    order.push('onshutdown 000-turns requests reboot', 'bye');
    const seen = order.map(at);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    const hung = /could not be (?:killed|stopped)|does not stop/;
    expect(steps().filter((step) => hung.test(step))).toEqual([]);
  });
});
