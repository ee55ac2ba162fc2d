import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Done, lkt, measuredLkt, root } from './helpers/lkt.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-root-disk-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeAll(async () => {
  // Its kernel has the file systems and the disk driver built in.
  const config = join(root, 'examples/minimal.yml');
  const format = ['--format', 'kernel+squashfs,kernel+erofs,kernel+iso'];
  const built = await measuredLkt(['build', '--dir', dir, '--name', 'x', ...format, config]);
  expect(built.status, built.stderr).toBe(0);
  expect(built.peakMiB).toBeLessThan(219);
}, 1_800_000);

async function boots(file: string, text: string): Promise<Done> {
  return lkt(['run', join(dir, file), '--expect', text, '--timeout', '800']);
}

test.each(['x-squashfs.img', 'x-erofs.img', 'x.iso'])(
  'boots with %s as its root',
  { timeout: 900_000 },
  async (file) => {
    const done = await boots(file, 'lkt: boot complete');
    expect(done.status, `${done.stdout.slice(-3000)}${done.stderr}`).toBe(0);
  },
);

test.each([
  ['the file system', () => 1100],
  ['init', () => contentAt('/init') + 5000],
])('a changed byte of %s stops the boot', { timeout: 900_000 }, async (_, where) => {
  for (const end of ['kernel', 'erofs-cmdline'])
    copyFileSync(join(dir, `x-${end}`), join(dir, `y-${end}`));
  const disk = join(dir, 'y-erofs.img');
  copyFileSync(join(dir, 'x-erofs.img'), disk);
  flip(disk, where());
  const done = await boots('y-erofs.img', 'lkt: system ready');
  expect(done.status).toBe(1);
  expect(done.stdout).toMatch(/device-mapper: verity: .*data block \d+ is corrupted/);
  expect(done.stderr).toContain('the kernel of the machine panicked');
});

/** Returns the offset of a file's contents in the erofs. */
function contentAt(path: string): number {
  const shown = execFileSync('dump.erofs', ['-e', `--path=${path}`, join(dir, 'x-erofs.img')], {
    encoding: 'utf8',
  });
  const [, start] = /^\s*0:\s+0\.\.\s*\d+ \|\s*\d+ :\s*(\d+)\.\./m.exec(shown) ?? [];
  expect(start, shown).toBeDefined();
  return Number(start);
}

function flip(path: string, at: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, at);
  writeSync(file, Buffer.of(byte.readUInt8() ^ 1), 0, 1, at);
}
