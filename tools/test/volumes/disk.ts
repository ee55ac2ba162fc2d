import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

export interface Disk extends Disposable {
  /** Path below /dev. */
  readonly path: string;
  readonly partition: string;
  /** Returns a digest of its contents. */
  readonly sum: () => number;
  readonly write: (at: number, text: string) => void;
  /** Grows it to a size in MiB. */
  readonly grow: (size: number) => void;
}

/** Makes an empty disk; `size` is in MiB. xfs needs 300 MiB. */
export function disk(size = 64): Disk {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-disk-'));
  const file = join(dir, 'disk');
  writeFileSync(file, '');
  truncateSync(file, size << 20);
  const path = tool('losetup', '--partscan', '--find', '--show', file).trim();
  return {
    path,
    partition: `${path}p1`,
    sum: () => crc32(readFileSync(file)),
    write: (at, text) => {
      const device = openSync(path, 'r+');
      writeSync(device, text, at);
      closeSync(device);
    },
    grow: (mib) => {
      truncateSync(file, mib << 20);
      tool('losetup', '--set-capacity', path);
    },
    [Symbol.dispose]: () => {
      spawnSync('partx', ['--delete', path]);
      tool('losetup', '--detach', path);
      rmSync(dir, { recursive: true });
    },
  };
}

/** Runs a program that must succeed, and returns its output. */
export function tool(name: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`${name} ${args.join(' ')}: ${status} ${stdout}${stderr}`, { cause: error });
  return stdout;
}

interface Table {
  readonly partitiontable: {
    readonly label: string;
    readonly partitions: readonly {
      readonly start: number;
      readonly size: number;
      readonly type: string;
    }[];
  };
}

export function table(path: string): Table['partitiontable'] {
  return (JSON.parse(tool('sfdisk', '--json', path)) as Table).partitiontable;
}

/** Returns a value that blkid prints for a device. */
export function value(tag: string, path: string): string {
  return tool('blkid', '--probe', '--match-tag', tag, '--output', 'value', path).trim();
}
