import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { segmentArchive, segmentsOf } from '../src/initrd/segment.ts';
import { mergeParts } from '../src/tree/merge.ts';
import type { Content, Contents, Part, TreeEntry } from '../src/tree/part.ts';
import { chunks, collect } from './support.ts';

describe('cpio archives', () => {
  it('are what cpio and bsdcpio unpack, whatever the tree', async () => {
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

  it('list the names of a file together, the content with the last', async () => {
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

  it('have one form', async () => {
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

  it('refuse what the format or the kernel cannot take', () => {
    for (const [change, message] of [
      [{ size: 2 ** 32 }, '/f of img has 4294967296 bytes'],
      [{ path: `${'d/'.repeat(2050)}f` }, 'a path or target longer than 4095 bytes'],
      [{ type: 'symlink', link: 'x'.repeat(4096) }, 'a path or target longer than 4095 bytes'],
      [{ path: 'TRAILER!!!' }, 'the name that ends a cpio archive'],
    ] as const) {
      const entry: TreeEntry = { ...BASE, path: 'f', type: 'file', ...change };
      expect(() => segmentsOf(mergeParts([part([entry], new Map())]))).toThrow(message);
    }
  });

  it('fail on content that is not as long as announced', async () => {
    const entry: TreeEntry = { ...BASE, path: 'f', type: 'file', size: 9, content: 'f' };
    const [segment] = segmentsOf(mergeParts([part([entry], new Map([['f', 'short']]))]));
    if (segment === undefined) throw new Error('no segment');
    await expect(collect(segmentArchive(segment))).rejects.toThrow(
      '/f of img has 5 bytes of content instead of 9',
    );
  });
});

interface Item {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'name' | 'symlink';
  readonly content?: string;
  readonly of?: string;
  readonly mode?: number;
}

/** The end of a name, and the padding after names of these lengths. */
const NUL = '\0'.repeat(4);

const BASE = { mode: 0o644, uid: 0, gid: 0, mtime: 100, size: 0 } as const;

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

function onlySegment(items: readonly Item[]): Parameters<typeof segmentArchive>[0] {
  const contents = new Map<string, string>();
  const placed = items.map((item): TreeEntry => {
    const { kind, content = '', of, mode = 0o777 } = item;
    const path = Buffer.from(item.path).toString('latin1');
    const base = { ...BASE, path, mode };
    if (kind === 'directory') return { ...base, type: 'directory' };
    if (kind === 'symlink')
      return {
        ...base,
        mode: 0o777,
        type: 'symlink',
        link: Buffer.from(content).toString('latin1'),
      };
    const source = items.find((other) => other.path === of) ?? item;
    const text = source.content ?? '';
    contents.set(source.path, text);
    const size = Buffer.byteLength(text);
    return { ...base, type: 'file', size, content: source.path };
  });
  const [segment] = segmentsOf(mergeParts([part(placed, contents)]));
  return segment ?? { name: 'empty', parts: [], directories: [] };
}

function part(entries: readonly TreeEntry[], contents: ReadonlyMap<string, string>): Part {
  const source: Contents = {
    key: 'test',
    async *read(wanted): AsyncGenerator<Content> {
      for (const [name, text] of contents)
        if (wanted.has(name)) yield { name, data: chunks(Buffer.from(text)) };
    },
  };
  const origin = { source: 'img', location: 'init[0]' };
  return { origin, label: 'img', isRoot: true, segment: 's', entries, contents: source };
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

function hex(...numbers: readonly number[]): string {
  return numbers.map((number) => number.toString(16).toUpperCase().padStart(8, '0')).join('');
}
