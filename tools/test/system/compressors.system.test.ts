import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { boot } from './helpers/guest.ts';
import { writeInitOnly } from './helpers/init-only.ts';
import { lkt } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-compressors-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const config = writeInitOnly(dir);

// Other tests boot zstd. Init reports a complete boot once every file of the manifest is present.
test.for([
  ['gzip', []],
  ['xz', ['--compress-level', '2']],
  ['lz4', []],
  ['none', []],
] as const)(
  'a kernel unpacks an initrd of %s whole',
  { timeout: 1_800_000 },
  async ([compressor, level]) => {
    const to = ['--dir', dir, '--name', compressor, '--compressor', compressor, ...level];
    const done = await lkt(['build', ...to, config]);
    expect(done.status, done.stderr).toBe(0);
    await using guest = await boot(join(dir, compressor));
    await guest.until('lkt: boot complete');
  },
);

test(
  "stops the boot if a byte of the initrd's file system has changed",
  { timeout: 900_000 },
  async () => {
    const layout = join(dir, 'layout.yml');
    writeFileSync(layout, 'layout: erofs\n');
    const done = await lkt(['build', '--dir', dir, '--name', 'damaged', config, layout]);
    expect(done.status, done.stderr).toBe(0);
    const file = join(dir, 'damaged-initrd.img');
    const initrd = readFileSync(file);
    const at = initrd.indexOf('roots/root.erofs\0') + 2 ** 21;
    initrd.writeUInt8(initrd.readUInt8(at) ^ 1, at);
    writeFileSync(file, initrd);
    const run = await lkt(['run', join(dir, 'damaged'), '--expect', 'lkt: system ready']);
    expect(run.status, run.stdout.slice(-3000)).toBe(1);
    expect(run.stdout).toContain(
      'the image is incomplete, boot stopped: /roots/root.erofs is damaged: CRC-32',
    );
    expect(run.stderr).toContain('the kernel of the machine panicked');
  },
);
