import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { segmentArchive } from '../../src/initrd/segment.ts';
import { collect } from '../support.ts';
import { type Item, onlySegment } from './cpio-fixture.ts';

describe('cpio archives', () => {
  it('unpack with cpio and bsdcpio, for any tree', async () => {
    await fc.assert(
      fc.asyncProperty(trees(), async (tree) => {
        const archive = await collect(segmentArchive(onlySegment(tree)));
        expect(archive.length % 4).toBe(0);
        for (const program of ['cpio', 'bsdcpio']) {
          const dir = mkdtempSync(join(tmpdir(), 'lkt-cpio-'));
          try {
            execFileSync(program, ['-id', '--quiet'], { input: archive, cwd: dir });
            check(dir, tree);
          } finally {
            rmSync(dir, { recursive: true, force: true });
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  it('list the names of a file together, with the content at the last', async () => {
    const archive = await collect(
      segmentArchive(
        onlySegment([
          { path: 'a', kind: 'file', content: 'same', mode: 0o600 },
          { path: 'b', kind: 'name', of: 'a', mode: 0o600 },
          { path: 'c', kind: 'file', content: 'other', mode: 0o600 },
        ]),
      ),
    );
    const listing = execFileSync('cpio', ['-itv', '--quiet'], { input: archive }).toString();
    const lines = listing.trim().split('\n');
    expect(lines.map((line) => line.split(/\s+/)).map((f) => [f[1], f[4], f.at(-1)])).toEqual([
      ['2', '0', 'a'],
      ['2', '4', 'b'],
      ['1', '5', 'c'],
    ]);
  });
});

function trees(): fc.Arbitrary<readonly Item[]> {
  const name = fc.stringMatching(/^[a-z][a-z0-9 %"'\\é-]{0,40}$/u);
  const mode = fc.integer({ min: 0o400, max: 0o777 });
  const item = fc.record({
    parts: fc.array(name, { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('directory', 'file', 'name', 'symlink'),
    content: fc.string({ unit: 'grapheme-ascii', maxLength: 300 }),
    mode,
  });
  return fc.array(item, { maxLength: 25 }).map((items) => {
    const tree = new Map<string, Item>();
    for (const { parts, kind, content, mode: bits } of items) {
      const parents = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'));
      if (parents.some((path) => (tree.get(path)?.kind ?? 'directory') !== 'directory')) continue;
      const path = parts.join('/');
      if (tree.has(path)) continue;
      for (const parent of parents)
        if (!tree.has(parent)) tree.set(parent, { path: parent, kind: 'directory', mode: 0o755 });
      const other = [...tree.values()].find((known) => known.kind === 'file');
      if (kind === 'name') {
        if (other !== undefined) tree.set(path, { ...other, path, kind, of: other.path });
      } else {
        const text = kind === 'symlink' ? content.replaceAll('\0', '') || 'x' : content;
        tree.set(path, {
          path,
          kind,
          content: text,
          mode: bits | (kind === 'directory' ? 0o700 : 0),
        });
      }
    }
    return [...tree.values()];
  });
}

function check(dir: string, items: readonly Item[]): void {
  for (const { path, kind, content = '', of, mode } of items) {
    const at = join(dir, path);
    const found = lstatSync(at);
    if (kind === 'symlink') {
      expect(readlinkSync(at)).toBe(content);
      continue;
    }
    expect(found.mode & 0o7777).toBe(mode);
    if (kind === 'directory') continue;
    const text = items.find((item) => item.path === of)?.content ?? content;
    expect(readFileSync(at, 'utf8')).toBe(text);
    if (of !== undefined && text !== '') expect(found.ino).toBe(lstatSync(join(dir, of)).ino);
  }
}
