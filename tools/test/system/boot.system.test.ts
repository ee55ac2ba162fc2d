import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Timeline } from '@lkt/machine';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedFacts, withoutCommon } from '../dhcp/roles.ts';
import { expectedProcesses } from '../sshd-roles.ts';
import { banner, boot, type Guest, makeHome, sftp, ssh } from './helpers/guest.ts';
import { askedOfKernel, foretold, missingIn, toldBy } from './helpers/kernel-report.ts';
import { type Done, lkt, root } from './helpers/lkt.ts';
import { probeReport, type ProbeReport } from './helpers/probe.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-boot-'));
const home = makeHome(join(dir, 'home'));
/** Adds tools/probe to an example, by merging this file into it. */
const probe = join(dir, 'probe.yml');
writeFileSync(
  probe,
  `services:\n  - name: probe\n    image: "@pkg:${join(root, 'tools/probe')}"\n`,
);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function build(name: string): Promise<Done> {
  return lkt(['build', '--dir', dir, '--name', name, join(root, `examples/${name}.yml`), probe], {
    env: { HOME: home },
  });
}

describe('minimal.yml', () => {
  let guest: Guest;
  let report: ProbeReport;

  beforeAll(async () => {
    const done = await build('minimal');
    expect(done.status, done.stderr).toBe(0);
    // lkt uses the user's store: an empty one would compile everything.
    expect(readdirSync(home)).toEqual(['.ssh']);
    for (const part of ['kernel', 'initrd.img', 'cmdline'])
      expect(statSync(join(dir, `minimal-${part}`)).size).toBeGreaterThan(0);
    guest = await boot(join(dir, 'minimal'), [
      `--timeline=${join(dir, 'boot.json')}`,
      `--timeline=${join(dir, 'boot.svg')}`,
    ]);
    await guest.until('=== END');
    report = probeReport(guest.console());
  }, 1_800_000);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  test('completes the boot', async () => {
    await guest.until('lkt: boot complete');
  });

  test('has a timeline with the steps in order', async () => {
    await guest.until('lkt: boot complete');
    const read = (): string => readFileSync(join(dir, 'boot.json'), 'utf8');
    await expect.poll(read, { timeout: 30_000 }).toMatch(/}\n$/);
    const timeline = JSON.parse(read()) as Timeline;
    expect(timeline).toMatchObject({ version: 1, end: 'complete' });
    const steps = new Map(timeline.steps.map((step) => [step.name, step]));
    const order = ['kernel', 'system ready', 'logs', 'containerd', 'service dhcp'];
    const ends = order.map((name) => steps.get(name)?.end);
    expect(ends).toEqual(ends.toSorted((a = NaN, b = NaN) => a - b));
    const { initramfs, kernel } = Object.fromEntries(steps);
    expect(initramfs?.start).toBeGreaterThan(0);
    expect(initramfs?.end).toBeLessThan(kernel?.end ?? 0);
    expect(steps.get('service dhcp')?.start).toBeGreaterThanOrEqual(
      steps.get('containerd')?.end ?? NaN,
    );
    expect(timeline.firmware).toBeGreaterThan(0);
    expect(readFileSync(join(dir, 'boot.svg'), 'utf8')).toContain('>service dhcp<');
  });

  test("rejects the probe's attempts", () => {
    expect(report.failed).toEqual([]);
    expect(report.passed).toBeGreaterThan(35);
  });

  test('has a kernel of at most 7 MB', () => {
    expect(statSync(join(dir, 'minimal-kernel')).size).toBeLessThan(7_000_000);
  });

  test('has the requested kernel configuration', () => {
    const asked = askedOfKernel();
    expect(asked.length).toBeGreaterThan(300);
    expect(missingIn(report, asked)).toEqual([]);
  });

  test('passes the same kernel audit rules as the audit of the image', async () => {
    const verdicts = await foretold(join(root, 'examples/minimal.yml'));
    expect(verdicts.length).toBeGreaterThan(300);
    expect(await toldBy(report, dir)).toEqual(verdicts);
  });

  test('runs dhcp and the log daemon with exactly the privileges of their roles.json', () => {
    const seen = report.facts.filter((fact) => fact.startsWith('sandboxed ')).toSorted();
    expect(seen.map(withoutCommon)).toEqual(expectedFacts());
  });

  test('listens on no TCP port', () => {
    expect(report.facts.filter((fact) => fact.startsWith('listens tcp'))).toEqual([]);
  });

  test('has no login over the network', async () => {
    expect(await banner(guest.port)).toBeUndefined();
  });

  test('has no login on the console', async () => {
    const before = guest.console().length;
    for (const line of ['\n', 'root\n', '\n', 'echo $((6*7))x\n']) {
      guest.type(line);
      await sleep(700);
    }
    expect(guest.console().slice(before)).not.toMatch(/login:|Password|42x|[#$] $/);
  });
});

describe('sshd.yml', () => {
  let guest: Guest;
  let report: ProbeReport;

  beforeAll(async () => {
    const done = await build('sshd');
    expect(done.status, done.stderr).toBe(0);
    guest = await boot(join(dir, 'sshd'));
    await guest.until('=== END');
    report = probeReport(guest.console());
    for (let tries = 0; tries < 60 && (await banner(guest.port)) === undefined; tries += 1)
      await sleep(500);
  }, 1_800_000);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  test('accepts the key of the config', () => {
    const done = ssh(guest.port, home, 'id -u; uname -s');
    expect(done, guest.console().slice(-2000)).toMatchObject({ status: 0, stdout: '0\nLinux\n' });
  });

  test('shows the logs', () => {
    const done = ssh(guest.port, home, 'lkt-logs -n 1000 sshd init dhcp; lkt-logs -list');
    expect(done.status, done.stderr).toBe(0);
    expect(done.stdout).toMatch(/ sshd sshd: host key /);
    expect(done.stdout).toMatch(/ init boot complete\n/);
    expect(done.stdout).toMatch(/^dhcp +[1-9]/m);
  });

  test('rejects another key', () => {
    const stranger = makeHome(join(dir, 'stranger'));
    expect(ssh(guest.port, stranger, 'true').status).toBe(255);
  });

  test('offers no password authentication', () => {
    const done = ssh(guest.port, home, 'true', [
      'PubkeyAuthentication=no',
      'PreferredAuthentications=password,keyboard-interactive',
    ]);
    expect(done.status).toBe(255);
    expect(done.stderr).toMatch(/Permission denied \(publickey\)/);
  });

  test('runs the ssh processes with exactly the privileges of pkg/sshd/roles.json', () => {
    const done = ssh(
      guest.port,
      home,
      "for d in /proc/[0-9]*; do echo $(sed -n 's/^\\(Name\\|Uid\\|CapPrm\\|CapEff\\|NoNewPrivs\\|Seccomp_filters\\):[[:space:]]*//p' $d/status); done",
    );
    const processes = done.stdout.split('\n').filter((line) => line.startsWith('sshd-'));
    expect(new Set(processes), done.stderr).toEqual(new Set(expectedProcesses()));
  });

  test('transfers files by sftp', () => {
    const file = join(dir, 'sent');
    writeFileSync(file, 'by sftp\n');
    const done = sftp(guest.port, home, `put ${file} /tmp/sent\nget /tmp/sent ${file}-back\n`);
    expect(done.status, done.stderr).toBe(0);
    expect(readFileSync(`${file}-back`, 'utf8')).toBe('by sftp\n');
  });

  test('has a terminal, and a login without capabilities', () => {
    const done = ssh(guest.port, home, 'tty; grep CapEff /proc/self/status', ['RequestTTY=force']);
    expect(done.stdout).toBe('/dev/pts/0\r\nCapEff:\t0000000000000000\r\n');
  });

  test('has a shell that cannot write to the root file system', () => {
    const done = ssh(
      guest.port,
      home,
      'for d in / /usr /etc /bin; do touch $d/x 2>/dev/null && echo "wrote $d"; done; true',
    );
    expect(done).toMatchObject({ status: 0, stdout: '' });
  });

  test('has a shell without access to containerd, which the config does not grant', () => {
    const done = ssh(guest.port, home, 'ls -A /run/containerd /usr/local/bin');
    expect(done.stdout).toBe('/run/containerd:\n\n/usr/local/bin:\n');
  });

  test("rejects the probe's attempts", () => {
    expect(report.failed).toEqual([]);
  });

  test('listens for ssh only', () => {
    const tcp = report.facts.filter((fact) => fact.startsWith('listens tcp'));
    expect(new Set(tcp.map((fact) => fact.split(' ').at(-1)))).toEqual(new Set(['22']));
  });

  test('has only the writable paths that services declare', () => {
    const expected = readFileSync(join(root, 'tools/test/system/writable.txt'), 'utf8')
      .trim()
      .split('\n');
    expect(report.facts.filter((fact) => fact.startsWith('writable '))).toEqual(expected);
  });
});

describe('getty.yml', () => {
  test(
    "has a root shell on the console, also with Debian's kernel",
    { timeout: 1_800_000 },
    async () => {
      const config = join(root, 'examples/getty.yml');
      const kernel = join(dir, 'debian.yml');
      writeFileSync(kernel, `kernel: {image: "@pkg:${join(root, 'kernel/debian')}"}\n`);
      const args = ['build', '--dir', dir, '--name', 'getty', config, kernel];
      const done = await lkt(args, { env: { HOME: home } });
      expect(done.status, done.stderr).toBe(0);
      await using guest = await boot(join(dir, 'getty'));
      await guest.until('lkt: boot complete');
      // The prompt takes a while, and input before it is lost.
      const answer = /answer-42/;
      for (let tries = 0; tries < 60 && !answer.test(guest.console()); tries += 1) {
        guest.type('echo answer-$((6*7)) $(id -u) $(uname -r)\n');
        await sleep(1000);
      }
      expect(guest.console()).toMatch(/answer-42 0 \S+-cloud-amd64\r?\n/);
    },
  );
});
