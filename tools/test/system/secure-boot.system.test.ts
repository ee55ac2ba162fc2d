import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeInitOnly } from './helpers/init-only.ts';
import { examplePart } from './helpers/example.ts';
import { lkt, root } from './helpers/lkt.ts';
import { probeReport } from './helpers/probe.ts';
import { bootSecurely, ended, firmwareKey } from './helpers/secure-boot.ts';
import { awaited, comparedFacts } from '../roles.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-secure-boot-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('tpm.yml, signed', () => {
  let console = '';
  let again = '';
  let tpm = '';
  let pcr11 = '';

  beforeAll(async () => {
    const { key, certificate } = firmwareKey(dir);
    const sign = ['--uki-key', key, '--uki-cert', certificate];
    pcr11 = await build('signed', writeExample(), ...sign);
    const disks = ['sealed', 'data'].map((name) => join(dir, `${name}.img`));
    for (const disk of disks) {
      writeFileSync(disk, '');
      truncateSync(disk, 64 << 20);
    }
    const texts = ['lkt: boot ended with', 'sshd: sshd: host key SHA256:'];
    ({ console, tpm } = await boot('signed', [...texts, '=== END'], disks));
    ({ console: again } = await boot('signed', texts, disks));
  }, 1_800_000);

  test('is started by firmware with Secure Boot, and the TPM has the predicted PCR 11', () => {
    expect(console).toContain('UEFI Secure Boot is enabled.');
    expect(console).toMatch(new RegExp(`^onboot\\.000-registers: 11 ${pcr11}\\r?$`, 'm'));
    for (const register of [12, 13])
      expect(console).toMatch(new RegExp(`-registers: ${register} 0{64}\\r?$`, 'm'));
  });

  test('encrypts a disk with a key of the TPM, which opens it once', () => {
    expect(console).toMatch(/-tpm: tpm: \/sealed\/key has a new secret of 32 bytes/);
    expect(console).toMatch(/-tpm: tpm: \/key\/key has the secret of \/sealed\/key\r?$/m);
    const header = readFileSync(join(dir, 'data.img')).subarray(0, 6);
    expect(header.toString('latin1')).toBe('LUKS\xba\xbe');
    expect(console).toMatch(/-again: tpm: error: \/sealed\/key: the registers have other values/);
    expect(console).toMatch(/^lkt: onboot 007-again failed: exit status 1/m);
    expect(console).toMatch(/^lkt: boot ended with 1 failures/m);
    // Not only by the word of the guest.
    const released = createHash('sha256').update('lkt:secrets-released').digest();
    const value = createHash('sha256').update(Buffer.from(pcr11, 'hex')).update(released);
    expect(extended(tpm, 11)).toBe(value.digest('hex'));
  });

  test('opens the disk at the next boot, when sshd has the same host key', () => {
    expect(again).toMatch(/-tpm: tpm: \/key\/key has the secret of \/sealed\/key\r?$/m);
    expect(again).not.toContain('has a new secret');
    const [first, second] = [console, again].map(
      (text) => /^sshd: sshd: host key (SHA256:\S{43})\r?$/m.exec(text)?.[1],
    );
    expect(first).toBeDefined();
    expect(second).toBe(first);
  });

  test('uses the TPM in a process with exactly the privileges of its role', () => {
    const { seen, expected } = comparedFacts('secure-boot', probeReport(console).facts);
    expect(seen).toEqual(expected);
  });

  test('has an event log that leads to the registers', () => {
    const events = [...console.matchAll(/^onboot\.\d+-log: (\d+) [0-9a-f]{64} (.*?)\r?$/gm)].map(
      ([, register, text]) => `${register} ${text}`,
    );
    expect(events).toContain('7 EFI_VARIABLE_AUTHORITY db');
    expect(events).toContain('4 EFI_ACTION Calling EFI Application from Boot Option');
    expect(events).toContain('9 EVENT_TAG Linux initrd');
    expect(events).toContain('11 IPL .linux');
    expect(console).toMatch(/-log: the log leads to the values of the registers \[0 1 2/);
  });
});

test('firmware with Secure Boot does not start an unsigned image', async () => {
  await build('unsigned', writeInitOnly(dir));
  const { console } = await boot('unsigned', ['Access Denied']);
  expect(console).not.toContain('lkt: init');
}, 1_800_000);

/** Makes a pipe, which a process that reads it waits at. */
const PIPE = `  - name: pipe
    image: "@pkg:${join(root, 'tools/puppet')}"
    command: [/puppet, pipe, /run/waiting/secret]
    binds: ['/run:/run']
`;

/** The ssh server keeps its host key on the encrypted disk. The probe sees a tool that waits. */
const SERVICES = `services:
  - name: probe
    image: "@pkg:${join(root, 'tools/probe')}"
    env: ['PROBE_AWAIT=${awaited('secure-boot')}']
  - name: waiting
    image: "@pkg:${join(root, 'pkg/tpm')}"
    command: [tpm, seal, /waiting/secret, /waiting/sealed]
    binds.add: ['/run/waiting:/waiting']
${examplePart('sshd', '  - name: sshd', 'files:')}    binds.add: ['/var/lib/data/sshd:/var/lib/sshd']
    runtime: {mkdir: [/var/lib/data/sshd]}
files:
  - {path: root/.ssh, directory: true, mode: '0700'}
`;

/** Writes the example with steps before and after its own. */
function writeExample(): string {
  const image = `"@pkg:${join(root, 'pkg/tpm')}"`;
  const step = (name: string, command: string): string =>
    `  - {name: ${name}, image: ${image}, command: [tpm, ${command}]`;
  const before = `${step('registers', "pcr, '11', '12', '13'")}}\n`;
  const binds = "binds.add: ['/var/lib/sealed:/sealed', '/run/dm-crypt:/key']";
  const after = `${step('log', 'eventlog')}}\n${step('again', 'unseal, /sealed/key, /key/again')}, ${binds}}\n`;
  const text = readFileSync(join(root, 'examples/tpm.yml'), 'utf8');
  const file = join(dir, 'tpm.yml');
  // A config outside the checkout has no signatures.
  const own = text
    .replace(/^# Each image[^]*/m, `${after}${PIPE}${SERVICES}`)
    .replace(/^onboot:\n/m, `onboot:\n${before}`);
  writeFileSync(file, own);
  return file;
}

async function build(name: string, config: string, ...flags: readonly string[]): Promise<string> {
  const options = ['--dir', dir, '--name', name, '--format', 'raw-efi', '--json', ...flags];
  const built = await lkt(['build', ...options, config]);
  expect(built.status, built.stdout).toBe(0);
  return (JSON.parse(built.stdout) as { readonly pcr11: string }).pcr11;
}

/**
 * Boots a disk until the console has printed all texts, with a TPM that logs its commands. Boots of
 * the same disk have the same TPM.
 */
async function boot(
  name: string,
  texts: readonly string[],
  more: readonly string[] = [],
): Promise<{ console: string; tpm: string }> {
  const state = join(dir, `${name}-tpm`);
  mkdirSync(state, { recursive: true });
  const socket = join(state, 'socket');
  rmSync(socket, { force: true });
  const log = join(state, 'log');
  rmSync(log, { force: true });
  const tpm = spawn(
    'swtpm',
    [
      ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--terminate'],
      ['--ctrl', `type=unixio,path=${socket}`, '--log', `file=${log},level=5`],
    ].flat(),
    { stdio: 'ignore' },
  );
  while (!existsSync(socket) && tpm.exitCode === null) await sleep(50);
  const device = [
    ['-chardev', `socket,id=tpm,path=${socket}`, '-tpmdev', 'emulator,id=tpm,chardev=tpm'],
    ['-device', 'tpm-crb,tpmdev=tpm'],
  ].flat();
  try {
    const disks = [join(dir, `${name}-efi.img`), ...more];
    const console = await bootSecurely(disks, join(dir, `${name}.log`), texts, device);
    return { console, tpm: readFileSync(log, 'latin1') };
  } finally {
    await ended(tpm);
  }
}

const PCR_EXTEND = 0x182;
const SHA256 = 0x0b;
/** Digest sizes by TPM_ALG_ID: SHA-1, SHA-256, SHA-384, SHA-512, SM3. */
const SIZES = new Map([
  [0x04, 20],
  [SHA256, 32],
  [0x0c, 48],
  [0x0d, 64],
  [0x12, 32],
]);

/** Returns a register after every TPM2_PCR_Extend (TPM 2.0 Part 3 §22.2) in swtpm's log. */
function extended(log: string, register: number): string {
  let value = Buffer.alloc(32);
  for (const command of commands(log)) {
    if (command.length < 18 || command.readUInt32BE(6) !== PCR_EXTEND) continue;
    if (command.readUInt32BE(10) !== register) continue;
    let at = 18 + command.readUInt32BE(14);
    const count = command.readUInt32BE(at);
    at += 4;
    for (let index = 0; index < count; index += 1) {
      const algorithm = command.readUInt16BE(at);
      const size = SIZES.get(algorithm) ?? 0;
      const digest = command.subarray(at + 2, at + 2 + size);
      if (algorithm === SHA256) value = createHash('sha256').update(value).update(digest).digest();
      at += 2 + size;
    }
  }
  return value.toString('hex');
}

function commands(log: string): readonly Buffer[] {
  const found = log.matchAll(/SWTPM_IO_Read: length \d+\n((?: (?:[0-9A-F]{2} )+\n)+)/g);
  return [...found].map(([, hex = '']) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
}
