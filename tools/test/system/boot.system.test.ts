import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Timeline } from '@lkt/machine';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedFacts, expectedOfLogin, withoutCommon } from '../roles.ts';
import { banner, boot, type Guest, makeHome, openSftp, sftp, ssh } from './helpers/guest.ts';
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
    await expect.poll(read).toMatch(/}\n$/);
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
    expect(seen.map(withoutCommon)).toEqual(expectedFacts('minimal'));
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
  const env = { HOME: home, XDG_RUNTIME_DIR: join(dir, 'runtime') };
  /** Runs `lkt ssh` with the key of the home directory. */
  const login = async (...words: readonly string[]): Promise<Done> =>
    lkt(['ssh', '--identity', join(home, '.ssh/id_ed25519'), ...words], { env });

  beforeAll(async () => {
    const config = join(root, 'examples/sshd.yml');
    // The server announces its host key on the console.
    const more = join(dir, 'console.yml');
    const [, cmdline = ''] =
      /cmdline: >-\n((?: {4}.*\n)+)/.exec(readFileSync(config, 'utf8')) ?? [];
    writeFileSync(more, `kernel:\n  cmdline: >-\n    lkt.logs.console=all\n${cmdline}`);
    const args = [probe, more, '--dir', dir];
    guest = await boot(config, args, { env });
    await guest.until('=== END');
    report = probeReport(guest.console());
    await guest.until('log in: lkt ssh console');
  }, 1_800_000);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  test('is found by lkt ssh, which exits with the status of the command', async () => {
    const done = await login('--', 'id -u; exit 7');
    expect(done, done.stderr).toMatchObject({ status: 7, stdout: '0\n' });
    expect((await login('console', '--', 'uname')).stdout).toBe('Linux\n');
    const known = readdirSync(join(env.XDG_RUNTIME_DIR, 'lkt/machines'));
    expect(known).toHaveLength(1);
  });

  test('has the host key that its console announced, or lkt ssh refuses it', async () => {
    const [, fingerprint = ''] = /^sshd: sshd: host key (\S+)\r?$/m.exec(guest.console()) ?? [];
    const [record = ''] = readdirSync(join(env.XDG_RUNTIME_DIR, 'lkt/machines'));
    const machine = join(env.XDG_RUNTIME_DIR, 'lkt/machines', record);
    const hosts = join(machine, 'known_hosts');
    const [, , key = ''] = readFileSync(hosts, 'utf8').split(' ');
    const hash = createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64');
    expect(`SHA256:${hash.replace('=', '')}`).toBe(fingerprint);
    // Another announcement, before the first login.
    rmSync(hosts);
    const log = join(machine, 'console.log');
    const console = readFileSync(log, 'latin1');
    writeFileSync(log, console.replaceAll(fingerprint, `SHA256:${'A'.repeat(43)}`), 'latin1');
    const refused = await login('--', 'true');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('has another host key than its console announced');
    writeFileSync(log, console, 'latin1');
    // Another key than that of the first login.
    const other = readFileSync(join(makeHome(join(dir, 'other')), '.ssh/id_ed25519.pub'), 'utf8');
    writeFileSync(hosts, `${record} ${other}`);
    expect((await login('--', 'true')).status).toBe(255);
    rmSync(hosts);
    expect((await login('--', 'true')).status).toBe(0);
  });

  test('shows its console, and the log of a service, by lkt logs', async () => {
    const whole = await lkt(['logs'], { env });
    expect(whole.stdout).toMatch(/^lkt: boot complete \d/m);
    const of = await lkt(['logs', 'console', 'sshd'], { env });
    expect(of.stdout).toMatch(/^lkt: service sshd starts \d/m);
    expect(of.stdout).toMatch(/^sshd: host key SHA256:/m);
    expect(of.stdout).not.toMatch(/dhcp|probe/);
    const missing = await lkt(['logs', 'console', 'web'], { env });
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/no service web\n {2}its services: dhcp, sshd, probe\n/);
  });

  test('accepts the key of the config', () => {
    const done = ssh(guest.port, home, 'id -u; uname -s');
    expect(done, guest.console().slice(-2000)).toMatchObject({ status: 0, stdout: '0\nLinux\n' });
  });

  test('announces the host key on the console', () => {
    const done = ssh(guest.port, home, 'lkt-logs sshd');
    const [, key = 'none'] = / sshd: host key (SHA256:\S{43})$/m.exec(done.stdout) ?? [];
    expect(guest.console()).toContain(`\nsshd: sshd: host key ${key}\r\n`);
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

  test('runs the ssh processes with exactly the privileges of pkg/sshd/roles.json', async () => {
    await using _ = await openSftp(guest.port, home);
    const done = ssh(
      guest.port,
      home,
      "for d in /proc/[0-9]*; do echo $(sed -n 's/^\\(Name\\|Uid\\|CapPrm\\|CapEff\\|NoNewPrivs\\|Seccomp_filters\\):[[:space:]]*//p' $d/status); done",
    );
    const processes = done.stdout
      .split('\n')
      .filter((line) => /^(?:sshd-|internal-sftp )/.test(line));
    expect(new Set(processes), done.stderr).toEqual(new Set(expectedOfLogin()));
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

  test('has a shell that cannot shut the machine down', () => {
    const done = ssh(guest.port, home, 'poweroff -f; echo $?; reboot');
    expect(done).toMatchObject({ status: 1, stdout: '1\n' });
    expect(done.stderr).toMatch(/poweroff: error: .*\n {2}fix: add "pid: host"[^]*reboot: error: /);
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
    "has a root shell on the console that shuts the machine down, also with Debian's kernel",
    { timeout: 1_800_000 },
    async () => {
      const config = join(dir, 'getty.yml');
      const text = readFileSync(join(root, 'examples/getty.yml'), 'utf8');
      const [untrusted = ''] = text.split('# Each image must');
      writeFileSync(config, untrusted.replace('- name: getty', '$&\n    pid: host'));
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
      guest.type('poweroff -f\n');
      await guest.until('lkt: bye');
    },
  );
});
