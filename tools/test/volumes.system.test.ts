import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Disk, disk, table, tool, value } from './volumes/disk.ts';
import { buildProgram, confinedTo } from './volumes/program.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-volumes-'));
const run = promisify(execFile);

beforeAll(async () => {
  for (const name of ['format', 'mount']) await buildProgram(name, dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const confined = confinedTo('sys_admin');

/**
 * Runs format with a disk as its last argument: without one it would take a disk of this machine.
 */
function format(...args: readonly string[]): { status: number | null; output: string } {
  expect(args.at(-1)).toMatch(/^\/dev\/loop\d+$/);
  const { status, stdout, stderr } = spawnSync(
    'setpriv',
    [...confined, join(dir, 'format'), ...args],
    { encoding: 'utf8' },
  );
  return { status, output: stdout + stderr };
}

describe('format', () => {
  test('makes file systems that other programs accept, and only once', () => {
    using empty = disk();
    const first = format('-verbose', '-label', 'data', empty.path);
    expect(first, first.output).toMatchObject({ status: 0 });
    expect(table(empty.path)).toMatchObject({
      label: 'dos',
      partitions: [{ start: 2048, size: (64 << 11) - 2048, type: '83' }],
    });
    expect(tool('sfdisk', '--verify', empty.path)).toContain('No errors detected.');
    expect(tool('e2fsck', '-f', '-n', empty.partition)).toContain('data: 12/');
    expect([value('TYPE', empty.partition), value('LABEL', empty.partition)]).toEqual([
      'ext4',
      'data',
    ]);
    const before = empty.sum();
    for (const args of [[], ['-label', 'data']]) {
      const again = format(...args, empty.path);
      expect(again, again.output).toMatchObject({ status: 0 });
      expect(again.output).toContain(`${empty.partition} already has ext4`);
    }
    for (const args of [
      ['-label', 'other'],
      ['-type', 'xfs'],
    ]) {
      const again = format(...args, empty.path);
      expect(again.status).toBe(1);
      expect(again.output).toContain('use -force to format it anyway');
    }
    expect(empty.sum()).toBe(before);
  });

  test('makes xfs and a GPT with -force, and wipes former contents', () => {
    using full = disk(400);
    tool('mke2fs', '-q', '-F', '-t', 'ext4', full.path);
    const forced = format(
      '-force',
      '-type',
      'xfs',
      '-partition',
      'gpt',
      '-label',
      'twelve bytes',
      full.path,
    );
    expect(forced, forced.output).toMatchObject({ status: 0 });
    expect(table(full.path)).toMatchObject({
      label: 'gpt',
      partitions: [{ start: 2048, size: 398 << 11, type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4' }],
    });
    expect(tool('sgdisk', '--verify', full.path)).toContain('No problems found.');
    expect(tool('xfs_repair', '-n', full.partition)).toContain('No modify flag set');
    expect(value('LABEL', full.partition)).toBe('twelve bytes');
    // blkid would report remains of the former file system and of the second partition table.
    expect(value('PTTYPE', full.path)).toBe('gpt');
    expect(tool('wipefs', full.path)).not.toContain('ext4');
    const back = format('-force', full.path);
    expect(back, back.output).toMatchObject({ status: 0 });
    expect(tool('wipefs', full.path)).not.toContain('gpt');
    expect(value('TYPE', full.partition)).toBe('ext4');
  });

  test('makes btrfs, also with a label that is too long for ext4', () => {
    using empty = disk(200);
    const made = format('-type', 'btrfs', '-label', 'data', empty.path);
    expect(made, made.output).toMatchObject({ status: 0 });
    expect(tool('btrfs', 'check', '--readonly', empty.partition)).toContain('no error found');
    expect(value('LABEL', empty.partition)).toBe('data');
    const again = format('-type', 'btrfs', empty.path);
    expect(again.output).toContain(`${empty.partition} already has btrfs\n`);
    using other = disk(200);
    const long = format('-type', 'btrfs', '-label', 'seventeen letters', other.path);
    expect(long, long.output).toMatchObject({ status: 0 });
    expect(value('LABEL', other.partition)).toBe('seventeen letters');
  });

  test.each([
    ['a file system on the whole disk', (d: Disk) => void tool('mke2fs', '-q', '-F', d.path)],
    ['only a partition table', (d: Disk) => void tool('sgdisk', '--new', '1:0:0', d.path)],
    [
      'RAID, with its signature at the end',
      (d: Disk) => d.write((64 << 20) - 65_536, '\u{fc}N+\u{a9}'),
    ],
    ['data without a signature, as of dm-crypt without LUKS', (d: Disk) => d.write(3 << 20, 'x')],
  ])('does not touch a disk with %s', (_, fill) => {
    using full = disk();
    fill(full);
    const before = full.sum();
    const { status, output } = format('-label', 'data', full.path);
    expect(output).toContain(`${full.path} is not empty`);
    expect(status).toBe(1);
    expect(full.sum()).toBe(before);
  });

  test('does not touch a disk in use, even with -force', () => {
    using used = disk();
    expect(format(used.path).status).toBe(0);
    const before = used.sum();
    const script = 'mount -o ro,noload "$2" "$1" && exec "$3" -force "$4"';
    const point = mkdtempSync(join(dir, 'point-'));
    const { status, stderr } = spawnSync(
      'unshare',
      ['--mount', 'sh', '-c', script, 'sh', point, used.partition, join(dir, 'format'), used.path],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe(`format: ${used.path} is in use\n`);
    expect(status).toBe(1);
    expect(used.sum()).toBe(before);
  });
});

/** Runs mountie and then a command, in a /dev with only some devices of this machine. */
async function mountie(
  devices: readonly string[],
  args: readonly string[],
  then = 'true',
): Promise<string> {
  const dev = mkdtempSync(join(dir, 'dev-'));
  const script = `mount --bind "$DEV" /dev && setpriv ${confined.join(' ')} "$MOUNTIE" "$@" 2>&1 && ${then}`;
  const env = { ...process.env, DEV: dev, MOUNTIE: join(dir, 'mount') };
  tool('cp', '--archive', '/dev/null', ...devices, dev);
  const { stdout } = await run('unshare', ['--mount', 'sh', '-c', script, 'sh', ...args], { env });
  const links = join(dev, 'disk/by-uuid');
  return (
    stdout +
    readdirSync(links)
      .map((name) => `${name} ${readlinkSync(join(links, name))}\n`)
      .join('')
  );
}

describe('mountie', () => {
  test('mounts by label, UUID and device', async () => {
    using ext4 = disk();
    using xfs = disk(400);
    // Names of this test run: it sees all devices of the machine.
    const label = `v${process.pid}`;
    expect(format('-label', label, ext4.path).status).toBe(0);
    expect(format('-type', 'xfs', xfs.path).status).toBe(0);
    const uuid = value('UUID', xfs.partition);
    const point = join(dir, 'volumes/a');
    const show = `findmnt --noheadings --output FSTYPE,OPTIONS ${point} && touch ${point}/file`;
    const devices = [ext4.path, ext4.partition, xfs.path, xfs.partition];

    const byLabel = await mountie(devices, ['-label', label, point], show);
    expect(byLabel).toContain(
      `${ext4.partition} (ext4 with the label "${label}") is on ${point}, writable`,
    );
    expect(byLabel).toMatch(/^ext4 +rw,nosuid,nodev/m);
    expect(byLabel).toContain(`${uuid} ../../${basename(xfs.partition)}\n`);
    expect(await mountie(devices, ['-uuid', uuid, point], show)).toMatch(/^xfs +rw,nosuid,nodev/m);
    expect(await mountie(devices, [ext4.partition, point], show)).toMatch(/^ext4 +rw/m);
    expect(await mountie(devices, ['-device', xfs.partition, point], show)).toMatch(/^xfs +rw/m);
    expect(tool('e2fsck', '-f', '-n', ext4.partition)).toContain(`${label}: 13/`);

    tool('blockdev', '--setro', ext4.partition);
    expect(await mountie(devices, ['-label', label, point])).toContain('read-only\n');
    tool('blockdev', '--setrw', ext4.partition);
  });

  test('repairs a file system first, and continues read-only after an error', async () => {
    using used = disk();
    expect(format(used.path).status).toBe(0);
    const point = join(dir, 'volumes/c');
    const devices = [used.path, used.partition];
    const debugfs = (request: string): string => tool('debugfs', '-wR', request, used.partition);
    tool('tune2fs', '-e', 'panic', used.partition);
    // As after a crash: a free count is wrong, and the superblock has a note of errors.
    debugfs('set_super_value free_inodes_count 3');
    debugfs('set_super_value state 2');
    const show = `findmnt --noheadings --output FSTYPE,OPTIONS ${point}`;
    const repaired = await mountie(devices, [used.partition, point], show);
    expect(repaired).toMatch(/^mountie: e2fsck: .*contains a file system with errors/m);
    expect(repaired).toMatch(/^ext4 +rw,nosuid,nodev,relatime,errors=remount-ro$/m);
    expect(tool('e2fsck', '-f', '-n', used.partition)).toMatch(/: 12\//);
    // Without its root directory, it needs a decision.
    debugfs('clri <2>');
    debugfs('set_super_value state 2');
    const failed = mountie(devices, [used.partition, point], show);
    await expect(failed).rejects.toMatchObject({
      stdout: expect.stringMatching(
        /has errors that need a decision: .*exit status 4[^]*fix: attach/,
      ),
    });
    const unchecked = await mountie(devices, ['-check', '0', used.partition, point], show).catch(
      ({ stdout }: { readonly stdout: string }) => stdout,
    );
    expect(unchecked).not.toContain('e2fsck');
  });

  test('waits for its device, and reports the wait', async () => {
    using late = disk();
    expect(format(late.path).status).toBe(0);
    const point = join(dir, 'volumes/b');
    mkdirSync(point, { recursive: true });
    const dev = mkdtempSync(join(dir, 'dev-'));
    const script = `mount --bind "$0" /dev || exit; (sleep 1; cp --archive "$0/late/${basename(late.partition)}" /dev) & exec "$@"`;
    tool('cp', '--archive', '/dev/null', dev);
    tool('mkdir', join(dev, 'late'));
    tool('cp', '--archive', late.partition, join(dev, 'late'));
    const args = ['--mount', 'sh', '-c', script, dev, join(dir, 'mount'), late.partition, point];
    const { stdout } = await run('unshare', args);
    expect(stdout).toContain(`${late.partition} (ext4) is on ${point}`);
    await expect(mountie([], ['/dev/absent', point])).rejects.toMatchObject({
      stdout: 'mountie: no /dev/absent within 10s: stat /dev/absent: no such file or directory\n',
    });
  });
});
