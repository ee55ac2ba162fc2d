import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boot, type Guest } from '../system/helpers/guest.ts';
import { freePort, lkt, root } from '../system/helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-gvisor-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const shell = `"@pkg:${join(root, 'pkg/login')}"`;
/** Commands of two containers that differ only in their class. */
const LOOK = `
exec 2>&1
echo "release $(uname -r)"
echo "log $(dmesg | head -n 1)"
mount -t tmpfs none /tmp && echo mounted
ip -o link | sed 's/: <.*//'
touch /new
echo "from $(hostname)" > /shared/$(hostname) && echo shared
grep -e CapEff /proc/self/status
exec sleep 100000
`;

/** Shows the processes and mounts of gVisor's containers in the machine. */
const WATCH = `
exec 2>&1
for dir in /proc/[0-9]*; do
  name=$(tr '\\0' ' ' < $dir/cmdline | cut -d ' ' -f 1)
  case $name in runsc-*) echo "$name $(grep -e ^Seccomp: -e ^CapEff $dir/status | tr '\\n\\t' '  ')" ;; esac
done
echo "trace $(cat /proc/sys/kernel/yama/ptrace_scope)"
cat /shared/inside
grep -c ' /tmp tmpfs' /proc/1/mounts
echo watched
exec sleep 100000
`;

const script = (text: string): string =>
  `image: ${shell}\n    command: [/usr/bin/sh, -c, ${JSON.stringify(text)}]\n    env: ['PATH=/usr/bin:/usr/sbin']`;

const twin = (name: string): string => `
  - name: ${name}
    ${script(LOOK)}
    readonly: true
    net: new
    uts: new
    hostname: ${name}
    capabilities: [CAP_SYS_ADMIN]
    binds: ['/run/shared:/shared']
    runtime: { mkdir: [/run/shared] }
    ready: { exec: [/usr/bin/test, -e, /shared/${name}] }`;

/** Services beside the example's own. */
const services = `${twin('inside')}
    runtimeClass: gvisor${twin('outside')}
  - name: greedy
    ${script('echo starts; exec dd if=/dev/zero of=/dev/null bs=200M count=1')}
    runtimeClass: gvisor
    resources: { memory: { limit: 134217728 } }
  - name: watch
    ${script(WATCH)}
    readonly: true
    pid: host
    binds: ['/run/shared:/shared']
    after: [inside, outside, valkey]
    ready: { log: watched }
`;

describe('gvisor.yml', () => {
  let guest: Guest;
  let port = 0;

  beforeAll(async () => {
    const config = join(root, 'projects/gvisor/gvisor.yml');
    const more = join(dir, 'more.yml');
    const cmdline = 'console=ttyS0 loglevel=4 panic=1 rootfstype=ramfs lkt.logs.console=all';
    writeFileSync(more, `kernel: { cmdline: ${cmdline} }\nservices:${services}`);
    const done = await lkt(['build', '--dir', dir, '--name', 'gvisor', config, more]);
    expect(done.status, done.stderr).toBe(0);
    port = await freePort();
    const publish = `127.0.0.1:${port}:6379`;
    guest = await boot(join(dir, 'gvisor'), ['--mem=1024', '--publish', publish]);
    await guest.until('watch: watched');
    await guest.until('lkt: service greedy exited');
  }, 1_800_000);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  /** Returns the lines that a service wrote. */
  const linesOf = (service: string): string[] =>
    [...guest.console().matchAll(new RegExp(`^${service}: (.*?)\r?$`, 'gm'))].map(
      ([, text]) => text ?? '',
    );

  test('gives a container of the class a kernel of its own', () => {
    const [inside, outside] = [linesOf('inside'), linesOf('outside')];
    expect(inside).toContain('release 4.4.0');
    expect(outside.find((line) => line.startsWith('release'))).toMatch(/^release 6\.12\..*-lkt$/);
    expect(inside.join('\n')).toMatch(/^log .*Starting gVisor/m);
    expect(outside.join('\n')).toMatch(/^dmesg: .*not permitted$/m);
  });

  test('makes the system calls that Linux refuses in that kernel, without effect on the machine', () => {
    expect(linesOf('inside')).toContain('mounted');
    expect(linesOf('outside')).not.toContain('mounted');
    expect(linesOf('watch')).toContain('1');
  });

  test('applies the config of a container: root, mounts, network and capabilities', () => {
    for (const name of ['inside', 'outside']) {
      const lines = linesOf(name);
      expect(lines.filter((line) => /^\d+: /.test(line))).toEqual(['1: lo']);
      expect(lines.join('\n')).toMatch(/^touch: .*\/new: Read-only file system$/m);
      expect(lines).toContain('shared');
      expect(lines).toContain('CapEff:\t0000000000200000');
    }
    expect(linesOf('watch')).toContain('from inside');
  });

  test('runs the readiness check of a container in it', () => {
    expect(guest.console()).toMatch(/lkt: service inside \d/);
  });

  test('ends a container that exceeds its memory', () => {
    expect(linesOf('greedy')).toEqual(['starts']);
    expect(guest.console()).toMatch(/lkt: service greedy exited with status 137/);
  });

  test("confines gVisor's own processes, which alone may trace", () => {
    const lines = linesOf('watch').filter((line) => line.startsWith('runsc-'));
    for (const kind of ['runsc-sandbox', 'runsc-gofer']) {
      const own = lines.filter((line) => line.startsWith(kind));
      expect(own.length, lines.join('\n')).toBeGreaterThanOrEqual(2);
      for (const line of own) expect(line).toContain('Seccomp: 2');
    }
    expect(linesOf('watch')).toContain('trace 2');
  });

  test('serves a port of the machine', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
      socket.setTimeout(60_000, () => socket.destroy(new Error('no answer within a minute')));
      socket.on('error', reject);
      socket.on('data', (data) => {
        resolve(data.toString('latin1'));
        socket.destroy();
      });
    });
    expect(answer).toBe('+PONG\r\n');
  });
});
