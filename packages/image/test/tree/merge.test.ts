import { describe, expect, it } from 'vitest';
import { mergeParts, type Root } from '../../src/tree/merge.ts';
import type { Part, TreeEntry } from '../../src/tree/part.ts';

/** Parses a tree: `d/` is a directory, `l -> target` a link, anything else a file. */
function parts(...trees: readonly (readonly string[])[]): readonly Part[] {
  return trees.map((tree, index) => ({
    origin: { source: `img${index}`, location: `init[${index}]` },
    label: `img${index}`,
    isRoot: true,
    segment: `img${index}`,
    entries: tree.map((line): TreeEntry => {
      const [path = '', link] = line.split(' -> ');
      const base = { mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0 };
      if (link !== undefined) return { ...base, path, type: 'symlink', link };
      if (path.endsWith('/')) return { ...base, path: path.slice(0, -1), type: 'directory' };
      return { ...base, path, type: 'file', size: 1, content: path };
    }),
    contents: {
      key: `img${index}`,
      read: () => {
        throw new Error('not read');
      },
    },
  }));
}

function show(root: Root): string[] {
  return [...root.entries.values()].map(({ path, type, link, part }) =>
    type === 'directory'
      ? `${path}/`
      : type === 'symlink'
        ? `${path} -> ${link}`
        : `${path} from ${part}`,
  );
}

const USR = ['usr/', 'usr/bin/', 'bin -> usr/bin'];

describe('mergeParts', () => {
  it.each([
    ['a later file wins', [['a'], ['a']], ['a from 1']],
    ['a link over a file', [['a'], ['a -> b']], ['a -> b']],
    ['a file over a link', [['a -> b'], ['a']], ['a from 1']],
    ['directories above', [['a/b/c']], ['a/', 'a/b/', 'a/b/c from 0']],
    [
      'usrmerge',
      [USR, ['bin/', 'bin/x']],
      ['bin -> usr/bin', 'usr/', 'usr/bin/', 'usr/bin/x from 1'],
    ],
    [
      'usrmerge the other way round',
      [['bin/', 'bin/x'], USR],
      ['bin -> usr/bin', 'usr/', 'usr/bin/', 'usr/bin/x from 0'],
    ],
    [
      'a link to nothing makes a directory',
      [['var/lib -> ../data'], ['var/lib/x']],
      ['data/', 'data/x from 1', 'var/', 'var/lib -> ../data'],
    ],
    [
      'links in links',
      [['lib -> usr/lib', 'usr/', 'usr/lib -> /opt/lib', 'opt/', 'opt/lib/'], ['lib/x']],
      ['lib -> usr/lib', 'opt/', 'opt/lib/', 'opt/lib/x from 1', 'usr/', 'usr/lib -> /opt/lib'],
    ],
    [
      'a link that is itself behind a link',
      [['l -> real'], ['l/inner -> /deep'], ['l/inner/x']],
      ['deep/', 'deep/x from 2', 'l -> real', 'real/', 'real/inner -> /deep'],
    ],
    [
      'a link out of the root stays in it',
      [['l -> ../../../etc'], ['l/passwd']],
      ['etc/', 'etc/passwd from 1', 'l -> ../../../etc'],
    ],
    [
      'a link that a later file replaces leads nowhere',
      [['l -> x'], ['l'], ['y']],
      ['l from 1', 'y from 2'],
    ],
  ])('%s', (_name, trees, expected) => {
    expect(show(mergeParts(parts(...trees)))).toEqual(expected);
  });

  it.each([
    ['file, directory', [['a'], ['a/']], '/a is a file in img0 and a directory in img1'],
    ['directory, file', [['a/'], ['a']], '/a is a directory in img0 and a file in img1'],
    ['below a file', [['a'], ['a/b']], '/a is a file in img0 and a directory in img1'],
    ['link to a file', [['l -> f', 'f'], ['l/x']], '/f is a file in img0 and a directory in img1'],
    ['circle', [['a -> b', 'b -> a'], ['a/x']], 'the symbolic links at /a form a cycle'],
    ['brought together', [USR, ['bin/x', 'usr/bin/x']], 'img1 has two entries for /usr/bin/x'],
  ])('rejects: %s', (_name, trees, message) => {
    expect(() => mergeParts(parts(...trees))).toThrow(message);
    expect(() => mergeParts(parts(...trees))).toThrow(
      expect.objectContaining({ code: 'TREE_CONFLICT' }),
    );
  });

  it('keeps parts unchanged when a later part repeats a link', () => {
    const [first] = mergeParts(parts(USR)).byPart;
    const [same, later] = mergeParts(parts(USR, USR)).byPart;
    expect(same).toEqual({
      ...first,
      others: first?.others.map((entry) => ({ ...entry, wantedBy: 1 })),
    });
    expect(later?.others).toEqual([]);
  });

  it('removes from a part what a later one replaces', () => {
    const { byPart } = mergeParts(parts(['a', 'b'], ['b']));
    expect(byPart.map(({ others }) => others.map(({ path }) => path))).toEqual([['a'], ['b']]);
  });

  it('gives every part the directories above its entries, none below a link', () => {
    const { byPart } = mergeParts(parts(USR, ['bin/', 'bin/x', 'etc/a/b']));
    expect(byPart[1]?.directories).toEqual(['etc', 'etc/a', 'usr', 'usr/bin']);
  });

  it('does not follow links outside of the root file system', () => {
    const [bundle, files] = parts(['c/l -> /etc'], ['c/l/x']);
    if (bundle === undefined || files === undefined) throw new Error('no parts');
    expect(() => mergeParts([{ ...bundle, isRoot: false }, files])).toThrow(
      '/c/l is a symbolic link in img0 and a directory in img1',
    );
  });
});
