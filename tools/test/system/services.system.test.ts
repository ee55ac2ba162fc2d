import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boot, type Guest } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-services-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const image = `"@pkg:${join(root, 'tools/puppet')}"`;
const poweroff = `"@pkg:${join(root, 'pkg/poweroff')}"`;
const logs = `"@pkg:${join(root, 'pkg/logs')}"`;
const none = '{ defaultAction: SCMP_ACT_ALLOW, architectures: [SCMP_ARCH_X86_64], syscalls:';
const noMkdir = `${none} [{ names: [mkdir, mkdirat], action: SCMP_ACT_ERRNO }] }`;

/** A service or onboot container per feature to test. */
const config = `
files:
  - path: etc/case
    contents: a file of the root
  - path: etc/sysctl.d/90-own.conf
    contents: |
      vm.max_map_count = 100000
      vm.not_there = 1
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
services:
  - name: by-socket
    image: ${image}
    command: [/puppet, sleep, '2', listen, /run/puppet/socket, wait]
    ready: { socket: /run/puppet/socket }
  - name: by-log
    image: ${image}
    command: [/puppet, sleep, '1', say, it works now, wait]
    after: [by-socket]
    ready: { log: works now }
  - name: by-exec
    image: ${image}
    command: [/puppet, sleep, '1', touch, /run/puppet/there, wait]
    after: [by-log]
    ready: { exec: [/puppet, has, /run/puppet/there] }
  - name: last
    image: ${image}
    command: [/puppet, wait]
    after: [by-exec]
  - name: fails-twice
    image: ${image}
    command: [/puppet, fail-until, '3', /run/puppet/count, wait]
    restart: on-failure
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
    ready: { socket: /run/puppet/flooded }
  - name: shows
    image: ${logs}
    command: [/usr/bin/lkt-logs, -f, by-log, handed-over]
    readonly: true
    binds: [/var/log:/var/log:ro]
    after: [last]
    ready: { log: handed-over it was sent }
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
    after: [last, shows, lists, asks]
onshutdown:
  - name: turns
    image: ${image}
    command: [/puppet, fail-until, '2', /run/puppet/turns]
    onfailure: reboot
`;

/** Returns an example without its services, with a layout and the services above. */
function machine(example: string, layout: string): string {
  const text = readFileSync(join(root, `examples/${example}.yml`), 'utf8');
  const top = text.slice(0, text.search(/^(?:onboot|services):/m));
  const bounds = 'lkt.logs.size=128K lkt.logs.rate=4K';
  const cmdline = `console=ttyS0 lkt.logs.console=all ${bounds} sysctl.vm.swappiness=42`;
  return `layout: ${layout}\n${top.replace('console=ttyS0', cmdline)}${config}`;
}

describe.each([
  ['containerd and runc', 'minimal', 'erofs'],
  ['PID 1 and crun', 'tiny', 'solid'],
])('services under %s', (_, example, layout) => {
  let guest: Guest;
  const name = `services-${example}`;

  beforeAll(async () => {
    const file = join(dir, `${name}.yml`);
    writeFileSync(file, machine(example, layout));
    const done = await lkt(['build', '--dir', dir, file]);
    expect(done.status, done.stderr).toBe(0);
    guest = await boot(join(dir, name), ['--networking', 'none']);
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

  test('restart while they fail', () => {
    const again = steps().filter((step) => step.startsWith('service fails-twice restarts'));
    expect(again.map((step) => step.split(' ').at(-1))).toEqual(['1s', '2s']);
  });

  test('fail after their timeout, with their dependents', () => {
    at('service never-ready failed: not ready after 2s');
    at('service after-never failed: dependency never-ready is not ready');
    expect(steps()).not.toContain('service after-never');
  });

  test('cannot make system calls that their filter forbids', () => {
    at('service filtered exited with status 1');
  });

  test('count in the number of failures, as onboot containers do', () => {
    at('onboot 004-fails failed: exit status 1');
    expect(guest.console()).toContain('lkt:   a-reason');
    at('boot ended with 3 failures');
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
    expect(guest.console()).not.toMatch(/could not be (killed|stopped)|does not stop/);
  });
});
