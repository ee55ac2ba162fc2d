import { mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { boot } from './guest.ts';
import { lkt, root } from './lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-dm-crypt-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test(
  'dm-crypt.yml encrypts an empty disk once, and finds what is on it the next time',
  { timeout: 1_800_000 },
  async () => {
    // The example with a key. Nobody has signed a config outside of the checkout.
    const config = join(dir, 'dm-crypt.yml');
    writeFileSync(join(dir, 'key'), 'k'.repeat(32));
    const text = readFileSync(join(root, 'examples/dm-crypt.yml'), 'utf8');
    writeFileSync(config, text.replace(/^trust:\n(?: .*\n)+/m, ''));
    const done = await lkt(['build', '--dir', dir, config]);
    expect(done.status, done.stderr).toBe(0);
    await start();
    const before = header();
    expect(before.subarray(0, 6).toString('latin1')).toBe('LUKS\xba\xbe');
    await start();
    expect(header().equals(before)).toBe(true);
  },
);

/** Has a machine come to its end, which mounts the disk. */
async function start(): Promise<void> {
  const disk = `file=${join(dir, 'data.img')},size=64M,format=raw`;
  await using guest = await boot(join(dir, 'dm-crypt'), ['--disk', disk]);
  await guest.until('lkt: boot ');
  expect(guest.console()).toContain('lkt: boot complete');
}

/** The two headers of LUKS2, with the keys in them. */
function header(): Buffer {
  const bytes = Buffer.alloc(256 << 10);
  readSync(openSync(join(dir, 'data.img'), 'r'), bytes);
  return bytes;
}
