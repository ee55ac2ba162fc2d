import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectedAttempts } from './helpers/attempts.ts';
import { banner, boot, type Guest, makeHome, sshOutput } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-attack-'));
const home = makeHome(join(dir, 'home'));
const image = `"@pkg:${join(root, 'tools/attack')}"`;

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Settings of an untrusted service: resource limits, otherwise the defaults. */
const bounded = (megabytes = 64): string => `
    image: ${image}
    resources: { memory: { limit: ${megabytes * 2 ** 20} }, pids: { limit: 60 } }
    ready: { exec: [/attack, done], timeout: 600 }
    tmpfs: ['/tmp:size=4m,mode=1777', '/run:size=1m,mode=1777']
    after: [victim]`;
/** A service whose root cannot be an overlay of its own, with all capabilities. */
const privileged = `${bounded()}
    readonly: true
    capabilities: [all]`;
/** Reads the machine's root file system, without mounts. */
const digest = `
    image: ${image}
    readonly: true
    capabilities: [CAP_DAC_READ_SEARCH]
    mounts: [{ type: bind, source: /, destination: /host, options: [bind, ro] }]`;
/**
 * Takes the digest in onboot, before any service starts. Only `victim` may use keyrings, which the
 * default seccomp filter forbids.
 */
const config = `onboot:
  - name: digest${digest}
    command: [/attack, digest]
services:
  - name: victim
    image: ${image}
    net: host
    command: [/attack, victim]
    readonly: true
    allow: [keys]
    # It takes shares as the user of who asks.
    capabilities: [CAP_SETUID]
    # More than others: what they have in flight must not keep it from sending.
    rlimits: ['nofile,1048576,1048576']
    runtime: { mkdir: [/var/victim] }
    binds: [/var/victim:/victim]
    tmpfs: ['/run:size=1m,mode=755']
    ready: { log: victim is well 0 }
  - name: root${bounded()}
    runtime: { mkdir: [/var/shared/inside] }
    binds: [/var/shared:/shared]
  # More memory than the kernel gives all TCP connections of 1 GB without lkt's sysctls.
  - name: user${bounded(128)}
    uid: 1000
    gid: 1000
    net: new
    binds: [/var/victim:/victim:ro]
  - name: admin${privileged}
    command: [/attack, admin]
  - name: mounter${privileged}
    command: [/attack, base]
    allow: [bpf, kernel, keys, mount, namespaces, vsock]
  - name: debugger${privileged}
    command: [/attack, machine]
    allow: [bpf, kernel, keys, mount, namespaces, vsock]
    pid: host
  - name: bound
    image: ${image}
    command: [/attack, bound]
    binds: [/var/shared/inside:/data]
    after: [root]
  - name: digest${digest}
    command: [/attack, serve-digest]
`;

/** Returns the line of an example for an image, with its pin. */
function pinOf(example: string, name: string): string {
  const text = readFileSync(join(root, `examples/${example}.yml`), 'utf8');
  const [line] = new RegExp(`^ *- lkt/${name}:.*$`, 'm').exec(text) ?? [];
  if (line === undefined) throw new Error(`${example}.yml has no lkt/${name}`);
  return line;
}

/**
 * Returns sshd.yml with a runtime and the services above, without `trust`, which requires
 * signatures outside its checkout. The sshd service has the attack program in /run, which is empty
 * in its image.
 */
function machine(layout: string, runtime: string): string {
  const example = readFileSync(join(root, 'examples/sshd.yml'), 'utf8').replace(
    pinOf('sshd', 'runc'),
    pinOf(runtime === 'crun' ? 'tiny' : 'sshd', runtime),
  );
  const [top = '', rest = ''] = example.replace(/^trust:\n(?: .*\n)+/m, '').split(/^services:\n/m);
  const bounds = 'console=ttyS0 lkt.logs.console=all lkt.logs.size=64K lkt.logs.rate=4K';
  const program = `$&\n    binds.add: ['/containers/services/victim/rootfs:/run:ro,nosuid,nodev']`;
  const login = rest
    .replace(/^ {4}image: lkt\/sshd:.*$/m, program)
    .replace('~/.ssh', join(home, '.ssh'));
  if (!login.includes('/victim/') || !login.includes(home))
    throw new Error('sshd.yml has changed: adapt this test');
  // The kernel's messages about killed processes would interrupt lines on the same console.
  const quiet = top.replace('loglevel=4', 'loglevel=3');
  if (quiet === top) throw new Error('sshd.yml has changed its loglevel: adapt this test');
  return `layout: ${layout}\n${quiet.replace('console=ttyS0', bounds)}${config}${login}`;
}

/** Parses lines `attack NAME: RESULT` after `prefix`. */
function results(text: string, prefix: string): Record<string, string> {
  const lines = text.matchAll(new RegExp(`^${prefix}attack ([-a-z]+): (.*?)\\r?$`, 'gm'));
  return Object.fromEntries([...lines].map(([, name = '', what = '']) => [name, what]));
}

describe.each([
  ['cpio', 'runc'],
  ['erofs', 'crun'],
])('a hostile container in a machine with layout %s and %s', (layout, runtime) => {
  let guest: Guest;
  let login = '';
  let logs = '';
  const onGuest = async (command: string): Promise<string> => sshOutput(guest.port, home, command);

  beforeAll(async () => {
    const file = join(dir, `${layout}.yml`);
    writeFileSync(file, machine(layout, runtime));
    const done = await lkt(['build', '--dir', dir, file]);
    expect(done.status, done.stderr).toBe(0);
    guest = await boot(join(dir, layout));
    await guest.until('lkt: boot ');
    for (let tries = 0; tries < 60 && (await banner(guest.port)) === undefined; tries += 1)
      await sleep(500);
    login = await onGuest('/run/attack once || echo "attack ends with $?"');
    logs = await onGuest('lkt-logs -list');
  }, 1_800_000);
  afterAll(async () => guest?.[Symbol.asyncDispose]());

  test.each(['root', 'user', 'login', 'admin', 'mounter', 'debugger'] as const)(
    'expected result of each attempt as %s',
    (who) => {
      const text = who === 'login' ? login : guest.console();
      const found = results(text, who === 'login' ? '' : `${who}: `);
      if (who === 'root') found['bind-symlink'] = bindSymlink(guest.console());
      if (who !== 'login' && found['fill-log'] !== undefined)
        found['fill-log'] = isBounded(logs, who) ? 'bounded' : 'OPEN';
      expect(found, text.slice(-4000)).toEqual(expectedAttempts(root, who));
    },
  );

  test('leaves the victim running, with its key and all lines of its log', async () => {
    expect(guest.console()).not.toMatch(/victim: no key|victim: the victim does not answer/);
    expect(logs).toMatch(/^victim +[1-9]\d* +\d+ +0 +0 /m);
    const seen = await lastSign(onGuest);
    await expect.poll(async () => lastSign(onGuest), { interval: 1000 }).toBeGreaterThan(seen);
  });

  test('leaves the files of the root unchanged', async () => {
    const [before] = /digest of \d+ files: \w{64}/.exec(guest.console()) ?? [];
    expect(await onGuest('/run/attack ask-digest')).toBe(`${before}\n`);
  });
});

/**
 * Returns the result of the service that binds the directory which `root` has replaced by a link.
 */
function bindSymlink(console: string): string {
  const isRefused = /^lkt: service bound failed: .* is a symbolic link/m.test(console);
  return isRefused ? 'refused' : (results(console, 'bound: ')['bind-symlink'] ?? 'not tried');
}

/**
 * Reports whether a log lost lines to its rate limit and stays below its size limit, by `lkt-logs
 * -list`.
 */
function isBounded(list: string, source: string): boolean {
  const counts = new RegExp(`^${source} +\\d+ +\\d+ +(\\d+) +\\d+ +(\\d+)\\r?$`, 'm').exec(list);
  const [dropped = 0, kept = Infinity] = (counts ?? []).slice(1).map(Number);
  return dropped > 1000 && kept <= 64 * 1024;
}

/** Returns the number in the victim's last line. */
async function lastSign(onGuest: (command: string) => Promise<string>): Promise<number> {
  const line = await onGuest('lkt-logs -n 1 victim');
  return Number(/victim is well (\d+)\n$/.exec(line)?.[1]);
}
