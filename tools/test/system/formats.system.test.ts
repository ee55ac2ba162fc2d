import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeInitOnly } from './helpers/init-only.ts';
import { lkt, measuredLkt } from './helpers/lkt.ts';

/** The formats that boot by themselves, and their file name endings. */
const FILES = {
  'iso-bios': '.iso',
  'iso-efi': '-efi.iso',
  'raw-bios': '-bios.img',
  'raw-efi': '-efi.img',
  'qcow2-bios': '.qcow2',
  'qcow2-efi': '-efi.qcow2',
  uki: '.efi',
  vmdk: '.vmdk',
} as const;

const dir = mkdtempSync(join(tmpdir(), 'lkt-formats-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeAll(async () => {
  const formats = Object.keys(FILES).join(',');
  const config = writeInitOnly(dir);
  const built = await measuredLkt([
    'build',
    '--dir',
    dir,
    '--name',
    'x',
    '--format',
    formats,
    config,
  ]);
  expect(built.status, built.stderr).toBe(0);
  expect(built.stdout).toMatch(/^PCR 11 {2}[0-9a-f]{64}$/m);
  expect(built.peakMiB).toBeLessThan(219);
}, 1_800_000);

// Init prints this line once all files of the initrd are found and the first services started.
test.each(Object.entries(FILES))('%s boots', { timeout: 900_000 }, async (_, end) => {
  const file = join(dir, `x${end}`);
  expect(existsSync(file)).toBe(true);
  const args = ['--expect', 'lkt: system ready', '--networking', 'none', '--timeout', '800'];
  const done = await lkt(['run', file, ...args]);
  expect(done.status, `${done.stdout.slice(-3000)}${done.stderr}`).toBe(0);
});
