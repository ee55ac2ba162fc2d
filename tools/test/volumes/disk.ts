import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
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

export interface Disk extends Disposable {
  /** Its path below /dev. */
  readonly path: string;
  readonly partition: string;
  /** Of all its bytes. */
  readonly hash: () => string;
  readonly write: (at: number, text: string) => void;
}

/** An empty disk. xfs makes no file systems of less than 300 MiB. */
export function disk(size = 64): Disk {
  const dir = mkdtempSync(join(tmpdir(), 'lkt-disk-'));
  const file = join(dir, 'disk');
  writeFileSync(file, '');
  truncateSync(file, size << 20);
  const path = tool('losetup', '--partscan', '--find', '--show', file).trim();
  return {
    path,
    partition: `${path}p1`,
    hash: () => createHash('sha256').update(readFileSync(file)).digest('hex'),
    write: (at, text) => {
      const device = openSync(path, 'r+');
      writeSync(device, text, at);
      closeSync(device);
    },
    [Symbol.dispose]: () => {
      spawnSync('partx', ['--delete', path]);
      tool('losetup', '--detach', path);
      rmSync(dir, { recursive: true });
    },
  };
}

/** What a program says that has to succeed. */
export function tool(name: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8' });
  if (status !== 0)
    throw new Error(`${name} ${args.join(' ')}: ${status} ${stdout}${stderr}`, { cause: error });
  return stdout;
}
