import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Disk, disk, table, tool } from './volumes/disk.ts';
import { buildProgram, confinedTo } from './volumes/program.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-extend-'));

beforeAll(async () => {
  for (const name of ['format', 'extend']) await buildProgram(name, dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs extend, always with a disk: without one it would take the disks of this machine. */
function extend(on: Disk, ...args: readonly string[]): { status: number | null; output: string } {
  const confined = ['setpriv', ...confinedTo('sys_admin', 'sys_resource')];
  const words = ['--mount', ...confined, join(dir, 'extend'), ...args, on.path];
  const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** Returns a formatted disk of 16 MiB, 400 with `-type`, that has then grown to twice its size. */
function grown(...args: readonly string[]): Disk {
  const size = args.includes('-type') ? 400 : 16;
  const made = disk(size);
  tool(join(dir, 'format'), ...args, '-label', 'data', made.path);
  made.grow(2 * size);
  return made;
}

// tools/test/system/disks.system.test.ts covers ext4: growing it takes a capability that root in a
// container may lack.
test.each([
  ['xfs', 'dos', 799, ['xfs_repair', '-n'], 'No modify flag set'],
  ['xfs', 'gpt', 798, ['xfs_repair', '-n'], 'No modify flag set'],
  ['btrfs', 'gpt', 798, ['btrfs', 'check', '--readonly'], 'found'],
] as const)('%s grows with its disk, whose table is %s', (type, label, mib, checker, verdict) => {
  using larger = grown('-type', type, '-partition', label);
  const before = table(larger.path);
  const first = extend(larger, '-type', type);
  expect(first, first.output).toMatchObject({ status: 0 });
  expect(first.output).toContain(
    `${larger.partition} has ${type} with ${mib << 20} bytes instead of`,
  );
  // The rest of the table is unchanged: references to a partition by its id stay valid.
  const size = mib << 11;
  expect(table(larger.path)).toEqual({
    ...before,
    ...(label === 'gpt' && { lastlba: (800 << 11) - 34 }),
    partitions: before.partitions.map((partition) => ({ ...partition, size })),
  });
  if (label === 'gpt')
    expect(tool('sgdisk', '--verify', larger.path)).toContain('No problems found.');
  const [program, ...options] = checker;
  expect(tool(program, ...options, larger.partition)).toContain(verdict);
  const second = extend(larger, '-type', type);
  expect(second.output).toBe(`extend: ${larger.partition}: already at full size\n`);
});

test('grows a file system that is smaller than its partition', () => {
  using larger = grown('-type', 'xfs');
  tool('sh', '-c', 'echo ", +" | sfdisk --no-tell-kernel -N 1 "$0"', larger.path);
  tool('partx', '--update', larger.path);
  expect(extend(larger, '-type', 'xfs').output).toMatch(
    /^extend: \S+ has xfs with 837812224 bytes instead of 418381824\n$/,
  );
});

test.each([
  [
    'another file system',
    ['-type', 'xfs'],
    'it has ext4 with the label "data", expected xfs',
    () => {},
  ],
  ['no table', [], 'no partition table', (d: Disk) => d.write(510, '\0\0')],
  [
    'two partitions',
    [],
    'it has 2 partitions, expected one',
    (d: Disk) => void tool('sgdisk', '--move-second-header', '--new', '2:0:0', d.path),
  ],
  [
    'a swap partition',
    [],
    'is not a Linux partition',
    (d: Disk) => void tool('sgdisk', '--typecode', '1:8200', d.path),
  ],
  [
    'a superblock with a wrong size',
    [],
    'on a device of',
    (d: Disk) => d.write((1 << 20) + 1024 + 24, '\x3f'),
  ],
  [
    'a table with a wrong checksum',
    [],
    'checksum does not match',
    (d: Disk) => d.write(1024 + 40, '\x3f'),
  ],
])('nothing is written to a disk with %s', (_, args, message, change) => {
  using larger = grown('-partition', 'gpt');
  change(larger);
  const before = larger.sum();
  const { status, output } = extend(larger, ...args);
  expect(output).toContain(message);
  expect(status).toBe(1);
  expect(larger.sum()).toBe(before);
});
