import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tool } from '../volumes/disk.ts';
import { boot, type Guest } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-resilience-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const image = (name: string): string => `"@pkg:${join(root, name)}"`;
const puppet = image('tools/puppet');

/** Settings of a container that sends signals to processes of the machine. */
const SIGNALS = 'pid: host, capabilities: [CAP_KILL, CAP_SYS_PTRACE]';

/** Returns an example without its containers, with others, and with words for the command line. */
function machine(example: string, words: string, containers: string): string {
  const text = readFileSync(join(root, `examples/${example}.yml`), 'utf8');
  const top = text.slice(0, text.search(/^(?:onboot|services):/m));
  return `${top.replace('console=ttyS0', `console=ttyS0 lkt.logs.console=all ${words}`)}${containers}`;
}

/** Returns a config with crun in place of runc. */
function withCrun(config: string): string {
  const text = readFileSync(join(root, 'examples/tiny.yml'), 'utf8');
  const [crun = ''] = /^ *- lkt\/crun:.*$/m.exec(text) ?? [];
  const changed = config.replace(/^ *- lkt\/runc:.*$/m, crun);
  expect(changed).toContain('lkt/crun:');
  return changed;
}

/** Builds and boots a machine with a hardware watchdog, and waits for its end. */
async function run(name: string, config: string, disks: readonly string[]): Promise<Guest> {
  const qemu = join(dir, 'qemu');
  const watchdog = '-device i6300esb -action watchdog=reset';
  writeFileSync(qemu, `#!/bin/sh\nexec qemu-system-x86_64 "$@" ${watchdog}\n`);
  chmodSync(qemu, 0o755);
  const file = join(dir, `${name}.yml`);
  writeFileSync(file, config);
  const done = await lkt(['build', '--dir', dir, file]);
  expect(done.status, done.stderr).toBe(0);
  const flags = disks.flatMap((path) => ['--disk', `file=${path},format=raw`]);
  return boot(join(dir, name), ['--networking', 'none', '--qemu', qemu, ...flags]);
}

/** Makes a disk with a file system whose superblock says that an error panics the kernel. */
function panicking(): string {
  const path = join(dir, 'panicking.img');
  writeFileSync(path, '');
  truncateSync(path, 32 << 20);
  tool('mke2fs', '-q', '-t', 'ext4', '-e', 'panic', '-L', 'data', path);
  return path;
}

function empty(): string {
  const path = join(dir, 'empty.img');
  writeFileSync(path, '');
  truncateSync(path, 64 << 20);
  return path;
}

/** Returns the steps of PID 1 without their times. */
const steps = (guest: Guest): string[] =>
  [...guest.console().matchAll(/lkt: (.*?) \d+\.\d{3}\r?\n/g)].map(([, text]) => text ?? '');

// The second and third time, containerd is creating a container when it is killed. Once, it was
// killed while it removed the directory of one, which it renames before.
const bundle = '/run/containerd/io.containerd.runtime.v2.task/services.linuxkit/again';
const kill = '/puppet signal 9 "/usr/bin/service system-init"';
const killing = [
  `${kill}; sleep 20; service restart victim; echo "restart $?"`,
  `for i in 1 2; do /puppet await-not ${bundle} await ${bundle}; ${kill}; sleep 25; done`,
  `mkdir -p ${bundle.replace('/again', '/.again')}/rest; sleep 20`,
  'service restart victim; echo "restart $?"',
  // Binds of a service that is being created are removed soon.
  'service list | grep victim; tries=60',
  'while left=$(ls -A /run/lkt/binds); test -n "$left" -a $tries != 0; do tries=$((tries - 1)); sleep 1; done',
  'echo "left: $left"',
];

/** Services to start again after containerd was killed, and one that kills it. */
function killed(end: string): string {
  return `
  - {name: victim, image: ${puppet}, command: [/puppet, sleep, '1000']}
  - {name: again, image: ${puppet}, command: [/puppet, sleep, '5'], restart: always}
  - name: ops
    image: ${image('pkg/login')}
    command: [sh, -c, ${JSON.stringify([...killing, end].join('; '))}]
    pid: host
    capabilities: [CAP_KILL, CAP_SYS_PTRACE, CAP_DAC_OVERRIDE]
    binds: [/usr/bin/service:/usr/bin/service, /usr/bin/containerd:/usr/bin/containerd,
      /containers:/containers, /run/containerd:/run/containerd, /run/lkt:/run/lkt,
      /containers/services/victim/rootfs/puppet:/puppet]
    after: [victim]
`;
}

function expectServicesAgain(guest: Guest): void {
  const said = guest.console();
  expect(said).toMatch(/victim +running/);
  expect([...said.matchAll(/^ops: (restart \d+)\r?$/gm)].map(([, text]) => text)).toEqual([
    'restart 0',
    'restart 0',
  ]);
  const after = said.slice(said.indexOf('failed to delete bundle'));
  expect(after).toContain('lkt: service again exited with status 0');
  expect(steps(guest).filter((step) => step.startsWith('containerd exited'))).toHaveLength(3);
  const runs = steps(guest).filter((step) => step === 'service again starts');
  expect(runs.length).toBeGreaterThan(4);
  expect(said).toMatch(/^ops: left: \r?$/m);
}

let stuck: Guest;

// Its containerd stops at last. The two minutes until the reset pass while the other machines run.
beforeAll(async () => {
  const stop = '/puppet signal 19 "/usr/bin/service system-init"';
  const config = machine('minimal', 'lkt.watchdog=10', `\nservices:${killed(stop)}`);
  stuck = await run('stuck', withCrun(config), []);
  await stuck.until('lkt: boot ');
}, 900_000);
afterAll(async () => stuck?.[Symbol.asyncDispose]());

describe('a machine with containerd', () => {
  let guest: Guest;

  const config = `
onboot:
  - {name: hangs, image: ${puppet}, command: [/puppet, hang], timeout: 3}
  - name: links
    image: ${puppet}
    command: [/puppet, link, /run/lkt, /data/link]
    binds: ['/var/shared:/data']
    runtime: {mkdir: [/var/shared]}
  - name: follows
    image: ${puppet}
    command: [/puppet, say, it followed a link]
    runtime: {mkdir: [/var/shared/link/made]}
  - name: covers
    image: ${puppet}
    command: [/puppet, say, it followed a link]
    runtime: {mounts: [{type: tmpfs, source: tmpfs, destination: /var/shared/link/binds}]}
  - name: attaches
    image: ${puppet}
    command: [/puppet, say, it followed a link]
    net: new
    runtime: {bindNS: {net: /var/shared/link/net}}
  - {name: mount, image: ${image('pkg/mount')}, command: [/usr/bin/mountie, -label, data, /var/lib/data]}
  - name: fails
    image: ${puppet}
    command: [/puppet, put, /sys/fs/ext4/vda/trigger_fs_error, an error, touch-not, /data/new]
    binds: ['/sys:/sys', '/var/lib/data:/data']
    capabilities: [CAP_SYS_ADMIN]
  - {name: dm-crypt, image: ${image('pkg/dm-crypt')}, command: [/usr/bin/crypto, --luks, dead, /dev/vdb]}
  - {name: mount, image: ${image('pkg/mount')}, command: [/usr/bin/mountie, /dev/mapper/dead, /var/lib/dead]}
services:${killed('kill -USR2 1')}onshutdown:
  - name: dies
    image: ${puppet}
    command: [/puppet, put, /data/file, unwritten, suspend, dead]
    binds: ['/dev:/dev', '/var/lib/dead:/data']
    devices: [{path: all, type: b}, {path: all, type: c}]
    capabilities: [CAP_SYS_ADMIN]
  - {name: hangs, image: ${puppet}, command: [/puppet, hang], timeout: 3}
files: [{path: etc/dm-crypt/key, contents: abcdefghijklmnopqrstuvwxyz123456, mode: "0400"}]
`;

  beforeAll(async () => {
    guest = await run(
      'containerd',
      `layout: erofs\n${machine('minimal', 'lkt.watchdog=20', config)}`,
      [panicking(), empty()],
    );
    // Beside compilers, the many starts of containerd take long.
    await guest.until('lkt: bye', 1_500_000);
  }, 1_800_000);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  test('ends containers of onboot and onshutdown at their deadline', () => {
    expect(steps(guest)).toContain('onboot 000-hangs failed: did not end within 3s');
    expect(steps(guest)).toContain('onshutdown 001-hangs failed: did not end within 3s');
  });

  test('follows no link of a container in mkdir, mounts and bindNS', () => {
    const refused = steps(guest).filter((step) => step.includes('is a symbolic link'));
    expect(refused.map((step) => step.split(' ')[1])).toEqual([
      '002-follows',
      '003-covers',
      '004-attaches',
    ]);
    expect(guest.console()).not.toContain('it followed a link');
  });

  test('continues with a read-only ext4 although its superblock wants a panic', () => {
    expect(guest.console()).toContain('EXT4-fs (vda): Remounting filesystem read-only');
    expect(guest.console()).toMatch(/: open \/data\/new: (?:input\/output error|read-only)/);
  });

  test('starts every service again after containerd was killed', () => {
    expectServicesAgain(guest);
  });

  test('ends although a disk does not answer', () => {
    const said = steps(guest);
    expect(said).toContain('watchdog of 20s');
    expect(said.at(-1)).toBe('bye');
    expect(said).toContain('sync: nothing was written for 30s, data may be lost');
    expect(said).toContain('unmount /var/lib/dead: did not end within 20s');
  });
});

test('a second request forces the shutdown of a machine without containerd', async () => {
  const config = machine(
    'tiny',
    'lkt.watchdog=off',
    `
services:
  - {name: hangs, image: ${puppet}, command: [/puppet, hang]}
  - {name: asks, image: ${puppet}, command: [/puppet, sleep, '2', signal, '10', init, sleep, '12', signal, '15', init, wait], after: [hangs], ${SIGNALS}}
onshutdown:
  - {name: hangs, image: ${puppet}, command: [/puppet, hang], timeout: 3000}
layout: solid
`,
  );
  await using guest = await run('forced', config, []);
  await guest.until('lkt: bye');
  const order = ['halt', 'halt is forced', 'onshutdown 000-hangs stopped', 'bye'];
  const seen = order.map((text) => steps(guest).indexOf(text));
  expect(seen, steps(guest).join('\n')).not.toContain(-1);
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
}, 900_000);

test('crun starts every service again after containerd was killed', async () => {
  await stuck.until('ops: left:', 900_000);
  expectServicesAgain(stuck);
}, 900_000);

test('the watchdog resets a machine whose containerd does not answer', async () => {
  await stuck.until('lkt: watchdog is not fed');
  expect(steps(stuck).at(-1)).toMatch(/will be reset: containerd has not answered for 2m/);
  await expect(stuck.until('never on the console')).rejects.toThrow('missing console output');
  expect(stuck.console()).not.toContain('panic');
}, 900_000);
