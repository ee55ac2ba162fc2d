import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { boot } from './guest.ts';
import { writeInitOnly } from './init-only.ts';
import { lkt } from './lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-compressors-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const config = writeInitOnly(dir);

// zstd is what the other tests boot. init says that the boot is complete when all that the manifest lists is there.
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
