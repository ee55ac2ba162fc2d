import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { banner, boot, type Guest, makeHome, sshOutput } from './guest.ts';
import { freePort, lkt, root } from './lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-network-'));
const home = makeHome(join(dir, 'home'));
const key = readFileSync(join(home, '.ssh/id_ed25519.pub'), 'utf8');
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Pair {
  readonly secret: string;
  readonly shown: string;
}

/** The two halves of a key, as wg(8) writes them. */
function pair(): Pair {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  const [secret = '', shown = ''] = [d, x].map((text) =>
    Buffer.from(text, 'base64url').toString('base64'),
  );
  return { secret, shown };
}

/** Writes a disk with what the example says its machines have from their metadata. */
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

/** An example, with more than it has. */
async function build(name: string, more: string): Promise<string> {
  const file = join(dir, `${name}-more.yml`);
  writeFileSync(file, more);
  const example = join(root, `examples/${name}.yml`);
  const done = await lkt(['build', '--dir', dir, '--name', name, example, file]);
  expect(done.status, done.stderr).toBe(0);
  return join(dir, name);
}

/** The lines of an example for one of its images or containers, up to the next. */
function part(example: string, from: string, to: string): string {
  const text = readFileSync(join(root, `examples/${example}.yml`), 'utf8');
  const start = text.indexOf(from);
  if (start < 0) throw new Error(`${example}.yml has no ${from}`);
  return text.slice(start, text.indexOf(to, start));
}

const sshd = `services:\n${part('metadata', '  - name: sshd', '# What is not')}`;

describe('two machines with a tunnel, one of which has its address from its image', () => {
  let a: Guest;
  let b: Guest;

  beforeAll(async () => {
    const [keyA, keyB] = [pair(), pair()];
    const port = await freePort();
    const diskA = await metadata(
      'a',
      `[Interface]
Address = 10.77.0.1/24
PrivateKey = ${keyA.secret}
ListenPort = 51820
[Peer]
PublicKey = ${keyB.shown}
AllowedIPs = 10.77.0.2
`,
    );
    const diskB = await metadata(
      'b',
      `[Interface]
Address = 10.77.0.2/24
PrivateKey = ${keyB.secret}
[Peer]
PublicKey = ${keyA.shown}
AllowedIPs = 10.77.0.1, 10.78.0.0/16
Endpoint = 10.0.2.2:${port}
`,
    );
    const prefixA = await build('wireguard', sshd);
    const prefixB = await build(
      'static-ip',
      `init:
${part('wireguard', '  - lkt/kernel-debian-modules:', 'onboot:')}onboot:
${part('wireguard', '  - name: modprobe', '  - name: dhcp')}
${part('wireguard', '  - name: metadata', 'services:')}
${sshd}`,
    );
    a = await boot(prefixA, ['--disk', diskA, '--publish', `127.0.0.1:${port}:51820/udp`]);
    b = await boot(prefixB, ['--disk', diskB]);
    for (const guest of [a, b]) {
      await guest.until('lkt: boot complete');
      for (let tries = 0; tries < 60 && (await banner(guest.port)) === undefined; tries += 1)
        await sleep(500);
    }
  }, 1_800_000);
  afterAll(async () => {
    await a?.[Symbol.asyncDispose]();
    await b?.[Symbol.asyncDispose]();
  });

  test('static-ip.yml has the address, the route and the name server that it says', async () => {
    const said = await sshOutput(b.port, home, 'ip addr show eth0; ip route; cat /etc/resolv.conf');
    expect(said).toContain('inet 10.0.2.15/24 ');
    expect(said).toContain('default via 10.0.2.2 dev eth0');
    expect(said).toContain('nameserver 10.0.2.3\n');
  });

  test('one reaches the other by its address in the tunnel, and nothing else', async () => {
    const log = await sshOutput(a.port, home, 'cat /var/log/onboot.*-wg0.log');
    expect(log).toContain('lk-wg-config: wg0 has 10.77.0.1/24 and 1 peers\n');
    const routes = await sshOutput(b.port, home, 'ip route show dev wg0');
    expect(routes).toContain('10.78.0.0/16');
    const command = 'nc -w 20 10.77.0.1 22 </dev/null | head -n 1; cat /proc/net/dev';
    const said = await sshOutput(b.port, home, command);
    expect(said).toMatch(/^SSH-2\.0-/);
    const [, received = '0'] = /^ *wg0: *(\d+)/m.exec(said) ?? [];
    expect(Number(received)).toBeGreaterThan(100);
  });
});
