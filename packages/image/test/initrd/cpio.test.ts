import { describe, expect, it } from 'vitest';
import { segmentArchive, segmentsOf } from '../../src/initrd/segment.ts';
import { mergeParts } from '../../src/tree/merge.ts';
import type { TreeEntry } from '../../src/tree/part.ts';
import { collect } from '../support.ts';
import { BASE, onlySegment, part } from './cpio-fixture.ts';

describe('cpio archives', () => {
  it('have fixed bytes', async () => {
    const archive = await collect(
      segmentArchive(
        onlySegment([
          { path: 'd', kind: 'directory', mode: 0o1777 },
          { path: 'd/file', kind: 'file', content: 'text', mode: 0o4755 },
          { path: 'd/link', kind: 'symlink', content: '../x' },
        ]),
      ),
    );
    expect(archive.toString('latin1')).toBe(
      [
        `070701${hex(1, 0o41777, 0, 0, 2, 100, 0, 0, 0, 0, 0, 2, 0)}d\0`,
        `070701${hex(2, 0o120777, 0, 0, 1, 100, 4, 0, 0, 0, 0, 7, 0)}d/link${NUL}../x`,
        `070701${hex(3, 0o104755, 0, 0, 1, 100, 4, 0, 0, 0, 0, 7, 0)}d/file${NUL}text`,
        `070701${hex(0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11, 0)}TRAILER!!!${NUL}`,
      ].join(''),
    );
  });

  it('reject entries that the format or the kernel cannot hold', () => {
    for (const [change, message] of [
      [{ size: 2 ** 32 }, '/f of img has 4294967296 bytes'],
      [{ path: `${'d/'.repeat(2050)}f` }, 'a path or target longer than 4095 bytes'],
      [{ type: 'symlink', link: 'x'.repeat(4096) }, 'a path or target longer than 4095 bytes'],
      [{ path: 'TRAILER!!!' }, 'the name that ends a cpio archive'],
      [{ path: 'TRAILER!!!', type: 'directory' }, 'the name that ends a cpio archive'],
      [{ path: 'TRAILER!!!/f' }, 'the name that ends a cpio archive'],
      [{ path: `${'d/'.repeat(2050)}d`, type: 'directory' }, 'a path or target longer than 4095'],
    ] as const) {
      const entry: TreeEntry = { ...BASE, path: 'f', type: 'file', ...change };
      expect(() => segmentsOf(mergeParts([part([entry], new Map())]))).toThrow(message);
    }
  });

  it('reject content of a wrong length', async () => {
    const entry: TreeEntry = { ...BASE, path: 'f', type: 'file', size: 9, content: 'f' };
    const [segment] = segmentsOf(mergeParts([part([entry], new Map([['f', 'short']]))]));
    if (segment === undefined) throw new Error('no segment');
    await expect(collect(segmentArchive(segment))).rejects.toThrow(
      '/f of img has 5 bytes of content instead of 9',
    );
  });
});

/** The end of a name, and the padding after names of these lengths. */
const NUL = '\0'.repeat(4);

function hex(...numbers: readonly number[]): string {
  return numbers.map((number) => number.toString(16).toUpperCase().padStart(8, '0')).join('');
}
