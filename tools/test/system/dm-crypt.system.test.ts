import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { examplePart } from './helpers/example.ts';
import { boot } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';
import { probeReport } from './helpers/probe.ts';
import { awaited, comparedFacts } from '../roles.ts';

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
    writeFileSync(services, SERVICES);
    const done = await lkt(['build', '--dir', dir, '--name', 'dm-crypt', config, services]);
    expect(done.status, done.stderr).toBe(0);
    const first = hostKeys(await start('lkt: boot '));
    const before = header();
    expect(before.subarray(0, 6).toString('latin1')).toBe('LUKS\xba\xbe');
    writeSlowDisk(before);
    const console = await start('=== END');
    expect(header().equals(before)).toBe(true);
    const { seen, expected } = comparedFacts('dm-crypt', probeReport(console).facts);
    expect(seen).toEqual(expected);
    const second = hostKeys(console);
    // The server of the tmpfs has another key, which the console also announces.
    expect(second.kept).toBe(first.kept);
    expect(second.lost).not.toBe(first.lost);
    expect(first.lost).not.toBe(first.kept);
  },
);

/**
 * Two ssh servers: one keeps its host key on the disk, the other has it until the machine ends. The
 * probe compares the process that unlocks another disk, which only the second boot has.
 */
const SERVICES = `services:
  - name: probe
    image: "@pkg:${join(root, 'tools/probe')}"
    env: ['PROBE_AWAIT=${awaited('dm-crypt')}']
  - name: waiting-crypto
    image: "@pkg:${join(root, 'pkg/dm-crypt')}"
    command: [/usr/bin/crypto, --luks, slow, /dev/vdb]
    restart: always
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

/** Boots a machine that mounts the disk, and kills it when the console has printed a text. */
async function start(text: string): Promise<string> {
  const disks = [`file=${join(dir, 'data.img')},size=64M,format=raw`];
  if (existsSync(slow)) disks.push(`file=${slow},format=raw`);
  const flags = disks.flatMap((disk) => ['--disk', disk]);
  await using guest = await boot(join(dir, 'dm-crypt'), flags);
  await guest.until('lkt: boot ');
  expect(guest.console()).toContain('lkt: boot complete');
  await guest.until(text);
  return guest.console();
}

const slow = join(dir, 'slow.img');

/**
 * Writes a disk with a LUKS2 header that makes the derivation of the key as long as is allowed. Its
 * checksum is right ("LUKS2 On-Disk Format Specification", section 2.1).
 */
function writeSlowDisk(usual: Buffer): void {
  const size = Number(usual.readBigUInt64BE(8));
  const changed = usual
    .subarray(0, size)
    .toString('latin1')
    .replace('"iterations":210000', '"iterations":130000000');
  const bytes = Buffer.from(changed.slice(0, size), 'latin1');
  expect(bytes.equals(usual.subarray(0, size))).toBe(false);
  bytes.fill(0, 448, 512);
  createHash('sha256').update(bytes).digest().copy(bytes, 448);
  writeFileSync(slow, bytes);
  truncateSync(slow, 64 << 20);
}

/** Returns the two LUKS2 headers with the key slots. */
function header(): Buffer {
  const bytes = Buffer.alloc(256 << 10);
  readSync(openSync(join(dir, 'data.img'), 'r'), bytes);
  return bytes;
}
