import { mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { examplePart } from './helpers/example.ts';
import { boot } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-dm-crypt-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test(
  'dm-crypt.yml encrypts an empty disk once, and opens it at the next boot, when sshd has the same host key',
  { timeout: 1_800_000 },
  async () => {
    // The example with a key. A config outside the checkout has no signatures.
    const config = join(dir, 'dm-crypt.yml');
    writeFileSync(join(dir, 'key'), 'k'.repeat(32));
    const text = readFileSync(join(root, 'examples/dm-crypt.yml'), 'utf8');
    writeFileSync(config, text.replace(/^trust:\n(?: .*\n)+/m, ''));
    const services = join(dir, 'services.yml');
    writeFileSync(services, SSHD);
    const done = await lkt(['build', '--dir', dir, '--name', 'dm-crypt', config, services]);
    expect(done.status, done.stderr).toBe(0);
    const first = hostKeys(await start());
    const before = header();
    expect(before.subarray(0, 6).toString('latin1')).toBe('LUKS\xba\xbe');
    const second = hostKeys(await start());
    expect(header().equals(before)).toBe(true);
    // The server of the tmpfs has another key, which the console also announces.
    expect(second.kept).toBe(first.kept);
    expect(second.lost).not.toBe(first.lost);
    expect(first.lost).not.toBe(first.kept);
  },
);

/** Two ssh servers: one keeps its host key on the disk, the other has it until the machine ends. */
const SSHD = `services:
${examplePart('sshd', '  - name: sshd', 'files:').replace('name: sshd', 'name: kept')}
    binds.add: ['/var/lib/data/sshd:/var/lib/sshd']
    runtime: {mkdir: [/var/lib/data/sshd]}
${examplePart('sshd', '  - name: sshd', 'files:').replace('name: sshd', 'name: lost')}
    binds.add: ['/etc/lkt:/etc/lkt:ro,nosuid,nodev,noexec']
files:
  - {path: etc/lkt/sshd.yml, contents: 'port: 2222'}
  - {path: root/.ssh, directory: true, mode: '0700'}
`;

/** Returns the fingerprints that a console announces, by service. */
function hostKeys(console: string): { readonly kept: string; readonly lost: string } {
  const [kept = '', lost = ''] = ['kept', 'lost'].map(
    (name) => new RegExp(`^${name}: sshd: host key (SHA256:\\S{43})\r?$`, 'm').exec(console)?.[1],
  );
  expect(kept, console.slice(-2000)).not.toBe('');
  expect(lost).not.toBe('');
  return { kept, lost };
}

/** Boots a machine that mounts the disk, and kills it when the boot is complete. */
async function start(): Promise<string> {
  const disk = `file=${join(dir, 'data.img')},size=64M,format=raw`;
  await using guest = await boot(join(dir, 'dm-crypt'), ['--disk', disk]);
  await guest.until('lkt: boot ');
  expect(guest.console()).toContain('lkt: boot complete');
  return guest.console();
}

/** Returns the two LUKS2 headers with the key slots. */
function header(): Buffer {
  const bytes = Buffer.alloc(256 << 10);
  readSync(openSync(join(dir, 'data.img'), 'r'), bytes);
  return bytes;
}
