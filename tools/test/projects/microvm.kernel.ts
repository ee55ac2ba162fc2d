import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boot, type Guest } from '../system/helpers/guest.ts';
import { lkt, root } from '../system/helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-microvm-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const shell = `"@pkg:${join(root, 'pkg/login')}"`;

const script = (text: string): string =>
  `image: ${shell}\n    command: [/usr/bin/sh, -c, ${JSON.stringify(text)}]\n    env: ['PATH=/usr/bin:/usr/sbin']\n    readonly: true`;

/** Milliseconds for the inner machine to boot, whose processor is emulated twice. */
const LIMIT = 2_400_000;

/** In the inner machine: a container with all privileges, which then ends its machine. */
const inner = `services:
  - name: worst
    ${script(`
exec 2>&1
grep CapEff /proc/self/status
echo "processes $(cat /proc/[0-9]*/comm | sort -u | tr '\\n' ' ')"
cat /proc/cmdline
echo looked
sleep 30
kill -INT 1
exec sleep 1000000
`)}
    pid: host
    capabilities: [all]
    allow: [bpf, kernel, keys, mount, namespaces, vsock]
    after: [user]
    ready: { log: looked }
`;

/** In the outer machine: shows the process of the inner one. */
const outer = `services:
  - name: watch
    ${script(`
exec 2>&1
echo "kernel $(cat /proc/sys/kernel/random/boot_id)"
for dir in /proc/[0-9]*; do
  case $(cat $dir/comm) in qemu*)
    echo "qemu $(grep -e ^Uid -e ^CapEff -e ^CapBnd -e ^NoNewPrivs -e ^Seccomp: $dir/status | tr '\\n\\t' '  ')" ;;
  esac
done
echo watched
exec sleep 1000000
`)}
    pid: host
    after: [microvm]
    ready: { log: watched }
`;

describe('microvm.yml', () => {
  let guest: Guest;

  beforeAll(async () => {
    const build = async (name: string, more: string, flags: readonly string[]): Promise<void> => {
      const file = join(dir, `${name}-more.yml`);
      writeFileSync(file, more);
      const config = join(root, `projects/microvm/${name}.yml`);
      const done = await lkt(['build', '--dir', dir, '--name', name, ...flags, config, file]);
      expect(done.status, done.stderr).toBe(0);
    };
    await build('inner', inner, []);
    const cmdline = 'console=ttyS0 loglevel=4 panic=1 rootfstype=ramfs lkt.logs.console=all';
    await build('microvm', `kernel: { cmdline: ${cmdline} }\n${outer}`, [
      '--set',
      `INNER=${join(dir, 'inner')}`,
    ]);
    guest = await boot(join(dir, 'microvm'), ['--mem=768', '--networking=none']);
    await guest.until('watch: watched', LIMIT);
    await guest.until('lkt: service microvm restarts', LIMIT);
  }, 2 * LIMIT);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  /** Returns the lines that match, without the prefix of the service. */
  const linesOf = (service: string): string[] =>
    [...guest.console().matchAll(new RegExp(`^${service}: (.*?)\r*$`, 'gm'))].map(
      ([, text]) => text ?? '',
    );

  test('says that it emulates the processor where there is no virtualization', () => {
    expect(linesOf('microvm').join('\n')).toMatch(/failed to initialize kvm|KVM/);
  });

  test('boots a machine with another kernel, and reports it ready', () => {
    const lines = linesOf('microvm').join('\n');
    expect(lines).toMatch(/lkt: service user \d/);
    expect(lines).toContain('lkt: boot complete');
    const [, own] = /^watch: kernel (\S+)/m.exec(guest.console()) ?? [];
    const [, other] = /^user: kernel (\S+)/m.exec(lines) ?? [];
    expect(own).toMatch(/^[0-9a-f-]{36}$/);
    expect(other).toMatch(/^[0-9a-f-]{36}$/);
    expect(other).not.toBe(own);
  });

  test('shows a container with all privileges of that machine nothing of this one', () => {
    const lines = linesOf('microvm').join('\n');
    expect(lines).toMatch(/^worst: CapEff:\t000001ffffffffff$/m);
    const [, processes = ''] = /^worst: processes (.*)$/m.exec(lines) ?? [];
    expect(processes).toContain('init');
    expect(processes).not.toContain('qemu');
  });

  test('gives the emulator no privilege', () => {
    const [line = ''] = linesOf('watch').filter((one) => one.startsWith('qemu '));
    expect(line).toMatch(/^qemu Uid: [1-9]\d* [1-9]\d* /);
    expect(line).toMatch(/CapEff: 0{16} CapBnd: 0{16} NoNewPrivs: 1 Seccomp: 2/);
  });

  test('outlives that machine, and starts it again', () => {
    expect(guest.console()).toMatch(/lkt: service microvm exited with status 0/);
    expect(guest.console()).toContain('lkt: service microvm restarts');
  });
});
