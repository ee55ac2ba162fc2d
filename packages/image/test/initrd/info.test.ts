import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { infoArchive, memoryFor, readInitrdInfo } from '../../src/initrd/info.ts';
import { mergeParts } from '../../src/tree/merge.ts';
import type { TreeEntry } from '../../src/tree/part.ts';
import { tempDir } from '../support.ts';

const MIB = 2 ** 20;

function rootOf(...files: readonly Partial<TreeEntry>[]): ReturnType<typeof mergeParts> {
  const base = { type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 0 } as const;
  const entries = files.map((file, index): TreeEntry => ({ ...base, path: `f${index}`, ...file }));
  const origin = { source: '', location: '' };
  const contents = {
    key: '',
    read: () => {
      throw new Error('not read');
    },
  };
  return mergeParts([{ origin, label: '', isRoot: true, segment: '', entries, contents }]);
}

describe('memoryFor', () => {
  // Measured with 57.4 MiB unpacked from 20.9 MiB: Debian's kernel boots with 160 MiB and not with
  // 144 from a ramfs, with 200 and not with 184 from a tmpfs.
  it.each([
    ['console=ttyS0 rootfstype=ramfs quiet', 160],
    ['console=ttyS0', 192],
    ['rootfstype=ramfsx', 192],
  ])('%s', (cmdline, minimum) => {
    const root = rootOf({ size: 57.4 * MIB, content: 'f' });
    expect(memoryFor(root, 20.9 * MIB, cmdline).minimumMemory).toBe(minimum);
  });

  // Measured: examples/tiny.yml boots with 64 MiB and not with 56.
  it('depends on the kernel', () => {
    const root = rootOf({ size: 7_352_320, content: 'f' });
    const { minimumMemory } = memoryFor(root, 2_162_336, 'rootfstype=ramfs', 28_733_440);
    expect(minimumMemory).toBe(64);
  });

  it('counts whole pages, a file with several names once, and nothing below boot', () => {
    const root = rootOf(
      { size: 1, content: 'a' },
      { size: 1, content: 'a' },
      { size: 4097, content: 'b' },
      { path: 'boot/kernel', size: 1e6, content: 'k' },
    );
    expect(memoryFor(root, 0, '').unpackedBytes).toBe(3 * 4096);
  });
});

describe('readInitrdInfo', () => {
  it('reads the info at the end', async () => {
    const path = join(tempDir(), 'initrd');
    const info = { unpackedBytes: 123_456_789, minimumMemory: 512 };
    writeFileSync(path, Buffer.concat([Buffer.alloc(1000, 7), infoArchive(info)]));
    expect(await readInitrdInfo(path)).toEqual(info);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['something else', Buffer.alloc(10_000, '070701')],
    [
      'a later version',
      Buffer.from(
        infoArchive({ unpackedBytes: 1, minimumMemory: 1 })
          .toString('latin1')
          .replace('lkt-initrd 1', 'lkt-initrd 2'),
        'latin1',
      ),
    ],
  ])('knows nothing about %s', async (_name, bytes) => {
    const path = join(tempDir(), 'initrd');
    writeFileSync(path, bytes);
    expect(await readInitrdInfo(path)).toBeUndefined();
  });

  it('reports a missing file', async () => {
    await expect(readInitrdInfo('/nonexistent')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
