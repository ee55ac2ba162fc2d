import { mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { boot } from './helpers/guest.ts';
import { lkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-dm-crypt-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test(
  'dm-crypt.yml encrypts an empty disk once, and opens it at the next boot',
  { timeout: 1_800_000 },
  async () => {
    // The example with a key. A config outside the checkout has no signatures.
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

/** Boots a machine that mounts the disk, and waits for its end. */
async function start(): Promise<void> {
  const disk = `file=${join(dir, 'data.img')},size=64M,format=raw`;
  await using guest = await boot(join(dir, 'dm-crypt'), ['--disk', disk]);
  await guest.until('lkt: boot ');
  expect(guest.console()).toContain('lkt: boot complete');
}

/** Returns the two LUKS2 headers with the key slots. */
function header(): Buffer {
  const bytes = Buffer.alloc(256 << 10);
  readSync(openSync(join(dir, 'data.img'), 'r'), bytes);
  return bytes;
}
