import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { writeInitOnly } from './helpers/init-only.ts';
import { lkt } from './helpers/lkt.ts';
import { bootSecurely, ended, firmwareKey } from './helpers/secure-boot.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-secure-boot-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const config = writeInitOnly(dir);

test('firmware with Secure Boot starts a signed image, and the TPM then has the predicted PCR 11', async () => {
  const { key, certificate } = firmwareKey(dir);
  const sign = ['--uki-key', key, '--uki-cert', certificate];
  const pcr11 = await build('signed', ...sign);
  const { console, tpm } = await boot('signed', 'lkt: system ready');
  expect(console).toContain('UEFI Secure Boot is enabled.');
  expect(extended(tpm, 11)).toBe(pcr11);
}, 1_800_000);

test('firmware with Secure Boot does not start an unsigned image', async () => {
  await build('unsigned');
  const { console } = await boot('unsigned', 'Access Denied');
  expect(console).not.toContain('lkt: init');
}, 1_800_000);

async function build(name: string, ...flags: readonly string[]): Promise<string> {
  const options = ['--dir', dir, '--name', name, '--format', 'raw-efi', '--json', ...flags];
  const built = await lkt(['build', ...options, config]);
  expect(built.status, built.stderr).toBe(0);
  return (JSON.parse(built.stdout) as { readonly pcr11: string }).pcr11;
}

/** Boots a disk until the console prints a text, with a TPM that logs its commands. */
async function boot(name: string, text: string): Promise<{ console: string; tpm: string }> {
  const state = join(dir, `${name}-tpm`);
  mkdirSync(state);
  const socket = join(state, 'socket');
  const tpm = spawn(
    'swtpm',
    [
      ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--terminate'],
      ['--ctrl', `type=unixio,path=${socket}`, '--log', `file=${join(state, 'log')},level=5`],
    ].flat(),
    { stdio: 'ignore' },
  );
  while (!existsSync(socket) && tpm.exitCode === null) await sleep(50);
  const device = [
    ['-chardev', `socket,id=tpm,path=${socket}`, '-tpmdev', 'emulator,id=tpm,chardev=tpm'],
    ['-device', 'tpm-crb,tpmdev=tpm'],
  ].flat();
  try {
    const disk = join(dir, `${name}-efi.img`);
    const console = await bootSecurely([disk], join(dir, `${name}.log`), [text], device);
    return { console, tpm: readFileSync(join(state, 'log'), 'latin1') };
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
