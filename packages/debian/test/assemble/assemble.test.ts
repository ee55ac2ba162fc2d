import { execFileSync } from 'node:child_process';
import { chmod, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf, silentReporter } from '@lkt/core';
import { SOURCE_DATE_EPOCH, toRaw } from '@lkt/oci';
import { describe, expect, it } from 'vitest';
import {
  assemble,
  type AssembleContext,
  type AssembleOptions,
} from '../../src/assemble/assemble.ts';
import { debMetadata, type DebMetadata } from '../../src/deb/deb-metadata.ts';
import { formatLock } from '../../src/lock/lock.ts';
import { type TestDeb } from '../test-archive.ts';
import { collect, recorder, tempStore } from '../support.ts';
import { lockOf, SEVERAL, GOLDEN } from './assemble-fixture.ts';

interface Assembled {
  readonly lines: readonly string[];
  readonly contents: ReadonlyMap<string, string>;
}

async function put(
  debs: readonly TestDeb[],
  options: AssembleOptions = {},
  context: Partial<AssembleContext> = {},
): Promise<Assembled> {
  const store = await tempStore();
  const lock = await lockOf(store, debs);
  const lines: string[] = [];
  const contents = new Map<string, string>();
  for await (const entry of assemble(lock, store, options, {
    reporter: silentReporter,
    ...context,
  })) {
    const { path, type, mode, uid, gid, mtime, link } = entry;
    expect([path, uid, gid, mtime]).toEqual([path, 0, 0, SOURCE_DATE_EPOCH]);
    const target = link === undefined ? '' : ` → ${link}`;
    lines.push(`${type} ${mode.toString(8)} ${path}${target}`);
    if (type === 'file')
      contents.set(
        path,
        entry.content === undefined ? '' : (await collect(entry.content)).toString(),
      );
  }
  return { lines, contents };
}

/** Returns the metadata of packages, as they are assembled and as read from the store. */
async function metadataOf(
  debs: readonly TestDeb[],
  source?: string,
): Promise<readonly DebMetadata[]> {
  const store = await tempStore();
  const lock = await lockOf(store, debs, source);
  let found: readonly DebMetadata[] = [];
  const onMetadata = (metadata: readonly DebMetadata[]): void => void (found = metadata);
  const context = { reporter: silentReporter, onMetadata };
  for await (const { content } of assemble(lock, store, {}, context))
    if (content !== undefined) await collect(content);
  expect(await debMetadata(lock, store)).toEqual(found);
  return found;
}

describe('metadata of packages', () => {
  const COPYRIGHT = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: Expat
`;

  it('has the licence, from a copyright file that the image leaves out', async () => {
    const files = { 'usr/share/doc/one/copyright': COPYRIGHT, 'usr/share/doc/copyright': 'other' };
    expect(await metadataOf([{ name: 'one', files }, { name: 'two' }])).toEqual([
      { name: 'one', license: { declared: 'MIT', texts: [] } },
    ]);
  });

  it('follows links to the documentation of other packages', async () => {
    const found = await metadataOf([
      { name: 'a', files: { 'usr/share/doc/a': { symlink: 'b' } } },
      { name: 'b', files: { 'usr/share/doc/b': { symlink: '../doc/c' } } },
      { name: 'c', files: { 'usr/share/doc/c/copyright': COPYRIGHT } },
      {
        name: 'd',
        files: { 'usr/share/doc/d/copyright': { symlink: '/usr/share/doc/c/copyright' } },
      },
      { name: 'loop', files: { 'usr/share/doc/loop': { symlink: 'loop' } } },
      {
        name: 'out',
        files: { 'usr/share/doc/out/copyright': { symlink: '../../../../../../etc/x' } },
      },
    ]);
    expect(found.map(({ name, license }) => `${name} ${license?.declared}`)).toEqual([
      'a MIT',
      'b MIT',
      'c MIT',
      'd MIT',
    ]);
  });

  it('has the copyright file of another package from the same source', async () => {
    const files = { 'usr/share/doc/one/copyright': COPYRIGHT };
    const debs = [
      { name: 'one', version: '1-1', files },
      { name: 'rebuilt', version: '1-1+b2' },
      { name: 'two', version: '2-1' },
    ];
    const found = await metadataOf(debs, 'source');
    expect(found.map(({ name }) => name)).toEqual(['one', 'rebuilt']);
  });

  it('has the version of the source package, if it is another one', async () => {
    const found = await metadataOf([
      { name: 'dmsetup', version: '2:1.02.205-2', fields: { Source: 'lvm2 (2.03.31-2)' } },
      { name: 'odd', fields: { Source: 'odd (not a version!)' } },
      { name: 'rebuilt', version: '1-1+b2', fields: { Source: 'other (1-1)' } },
      { name: 'same', fields: { Source: 'other' } },
    ]);
    expect(found).toEqual([{ name: 'dmsetup', sourceVersion: '2.03.31-2' }]);
  });

  it('has the sources that the build of a package incorporated', async () => {
    const fields = {
      'Built-Using': 'glibc (= 2.41-12), gcc-14 (= 14.2.0-19)',
      'Static-Built-Using': 'golang-1.24 (= 1.24.4-1), broken (>= 1)',
    };
    expect(await metadataOf([{ name: 'static', fields }])).toEqual([
      {
        name: 'static',
        builtUsing: [
          { name: 'glibc', version: '2.41-12', isStatic: false },
          { name: 'gcc-14', version: '14.2.0-19', isStatic: false },
          { name: 'golang-1.24', version: '1.24.4-1', isStatic: true },
        ],
      },
    ]);
    expect(await metadataOf([{ name: 'odd', fields: { 'Built-Using': 'a b c' } }])).toEqual([]);
  });
});

/** The entries of every image. */
const USR = [
  'symlink 777 bin → usr/bin',
  'symlink 777 lib → usr/lib',
  'symlink 777 lib64 → usr/lib64',
  'symlink 777 sbin → usr/sbin',
];

describe('assemble', () => {
  it('merges packages in layer order', async () => {
    const { lines, contents } = await put([
      {
        name: 'one',
        files: {
          'usr/bin/one': { text: '1', mode: 0o755 },
          'usr/bin.d/x': 'x',
          'etc/empty': '',
          'usr/bin/é': 'e',
        },
      },
      {
        name: 'two',
        files: {
          'usr/bin/two': { symlink: 'one' },
          'usr/lib/two/deep': '2',
          'usr/share/doc/two/copyright': 'c',
        },
      },
    ]);
    expect(lines).toEqual([
      'symlink 777 bin → usr/bin',
      'directory 755 etc',
      'file 644 etc/empty',
      'symlink 777 lib → usr/lib',
      'symlink 777 lib64 → usr/lib64',
      'symlink 777 sbin → usr/sbin',
      'directory 755 usr',
      'directory 755 usr/bin',
      'file 755 usr/bin/one',
      'symlink 777 usr/bin/two → one',
      `file 644 usr/bin/${toRaw('é')}`,
      'directory 755 usr/bin.d',
      'file 644 usr/bin.d/x',
      'directory 755 usr/lib',
      'directory 755 usr/lib/two',
      'file 644 usr/lib/two/deep',
      'directory 755 usr/lib64',
      'directory 755 usr/sbin',
      'directory 755 usr/share',
    ]);
    expect(Object.fromEntries(contents)).toMatchObject({
      'usr/bin/one': '1',
      'usr/lib/two/deep': '2',
      'etc/empty': '',
    });
  });

  it('drops setuid and setgid, and keeps sticky', async () => {
    const { lines } = await put([
      {
        name: 'su',
        files: {
          'usr/bin/su': { text: 'x', mode: 0o4755 },
          'usr/bin/wall': { text: 'x', mode: 0o2755 },
          'var/mail': { directory: 0o2775 },
          tmp: { directory: 0o1777 },
        },
      },
    ]);
    expect(lines).toContain('file 755 usr/bin/su');
    expect(lines).toContain('file 755 usr/bin/wall');
    expect(lines).toContain('directory 775 var/mail');
    expect(lines).toContain('directory 1777 tmp');
  });

  it('moves paths into /usr and accepts base-files’ links', async () => {
    const { lines } = await put([
      {
        name: 'base-files',
        files: { bin: { symlink: 'usr/bin' }, lib64: { symlink: 'usr/lib64' } },
      },
      {
        name: 'old',
        files: {
          'bin/old': 'x',
          'lib/x/y': { symlink: '/lib/z' },
          'sbin/a': '1',
          'lib64/ld.so': 'l',
        },
      },
    ]);
    expect(lines.filter((line) => !line.startsWith('directory'))).toEqual([
      ...USR,
      'file 644 usr/bin/old',
      'symlink 777 usr/lib/x/y → /lib/z',
      'file 644 usr/lib64/ld.so',
      'file 644 usr/sbin/a',
    ]);
  });

  it('makes no lib64 on an architecture without one', async () => {
    const store = await tempStore();
    const lock = { ...(await lockOf(store, [])), architecture: 'arm64' };
    const entries = await Array.fromAsync(assemble(lock, store, {}, { reporter: silentReporter }));
    expect(entries.map(({ path }) => path)).toEqual([
      'bin',
      'lib',
      'sbin',
      'usr',
      'usr/bin',
      'usr/lib',
      'usr/sbin',
    ]);
  });

  it('keeps hard links, with the first name as the file', async () => {
    const { lines, contents } = await put([
      {
        name: 'perl',
        files: {
          'usr/bin/perl5': { text: 'perl', mode: 0o755 },
          'usr/bin/perl': { hardlink: 'usr/bin/perl5' },
          'usr/bin/a': { hardlink: 'usr/bin/perl5' },
        },
      },
    ]);
    expect(lines).toContain('file 755 usr/bin/a');
    expect(lines).toContain('hardlink 755 usr/bin/perl → usr/bin/a');
    expect(lines).toContain('hardlink 755 usr/bin/perl5 → usr/bin/a');
    expect(contents.get('usr/bin/a')).toBe('perl');
  });

  it('keeps a hard link whose target is excluded', async () => {
    const { lines, contents } = await put(
      [{ name: 'x', files: { 'usr/a': 'text', 'usr/b': { hardlink: 'usr/a' } } }],
      { exclude: ['usr/a'] },
    );
    expect(lines.filter((line) => /usr\/[ab]$/.test(line))).toEqual(['file 644 usr/b']);
    expect(contents.get('usr/b')).toBe('text');
  });

  it('leaves out documentation and excludes, but keeps includes', async () => {
    const { contents } = await put(
      [
        {
          name: 'x',
          files: {
            'usr/share/doc/x/copyright': 'c',
            'usr/share/doc/x/NEWS': 'n',
            'usr/share/man/man1/x.1.gz': 'm',
            'usr/share/locale/de/LC_MESSAGES/x.mo': 'l',
            'usr/lib/x/a_test.go': 't',
            'usr/lib/x/a.go': 'a',
          },
        },
      ],
      { exclude: ['usr/lib/**/*_test.go'], include: ['usr/share/doc/*/copyright'] },
    );
    expect([...contents.keys()]).toEqual(['usr/lib/x/a.go', 'usr/share/doc/x/copyright']);
  });

  it('adds the files, directories and links of build.yml', async () => {
    const { lines, contents } = await put([{ name: 'x', files: { tmp: { directory: 0o755 } } }], {
      links: new Map([
        ['bin/awk', 'mawk'],
        ['etc/é', 'ü'],
      ]),
      files: [
        { path: '/etc/passwd', contents: 'root:ü\n' },
        { path: 'sbin/init', contents: '', mode: 0o755 },
      ],
      directories: [
        { path: 'tmp', mode: 0o1777 },
        { path: 'proc', mode: 0o555 },
      ],
    });
    expect(lines).toEqual(
      expect.arrayContaining([
        'symlink 777 usr/bin/awk → mawk',
        `symlink 777 etc/${toRaw('é')} → ${toRaw('ü')}`,
        'file 644 etc/passwd',
        'file 755 usr/sbin/init',
        'directory 1777 tmp',
        'directory 555 proc',
      ]),
    );
    expect(contents.get('etc/passwd')).toBe('root:ü\n');
  });
});

describe('conflicts', () => {
  it.each<[string, readonly TestDeb[], AssembleOptions, string]>([
    [
      'a file in two packages',
      [
        { name: 'a', files: { 'usr/x': '1' } },
        { name: 'b', files: { 'usr/x': '1' } },
      ],
      {},
      'a and b both have usr/x',
    ],
    [
      'a file and a directory',
      [
        { name: 'a', files: { 'usr/x': '1' } },
        { name: 'b', files: { 'usr/x': { directory: 0o755 } } },
      ],
      {},
      'a and b both have usr/x',
    ],
    [
      'a name below a symlink',
      [
        { name: 'a', files: { 'usr/x': { symlink: 'y' } } },
        { name: 'b', files: { 'usr/x/z': '1' } },
      ],
      {},
      'a and b both have usr/x',
    ],
    [
      'the same through /lib',
      [
        { name: 'a', files: { 'lib/x': '1' } },
        { name: 'b', files: { 'usr/lib/x': '2' } },
      ],
      {},
      'a and b both have usr/lib/x',
    ],
    [
      'a link over a file',
      [{ name: 'a', files: { 'usr/x': '1' } }],
      { links: new Map([['usr/x', 'y']]) },
      'a and build.yml both have usr/x',
    ],
    [
      'a file over a directory',
      [{ name: 'a', files: { 'usr/x/y': '1' } }],
      { files: [{ path: 'usr/x', contents: '' }] },
      'a and build.yml both have usr/x',
    ],
    [
      'a file below a file',
      [{ name: 'a', files: { 'usr/x': '1' } }],
      { files: [{ path: 'usr/x/y', contents: '' }] },
      'build.yml has usr/x/y, but a has usr/x, which is not a directory',
    ],
    [
      'another /bin',
      [{ name: 'a', files: { bin: { symlink: 'somewhere' } } }],
      {},
      'the /usr layout and a both have bin',
    ],
    [
      'a link over /lib',
      [],
      { links: new Map([['lib', 'usr/lib32']]) },
      'the /usr layout and build.yml both have lib',
    ],
    [
      'Replaces of an older version',
      [
        { name: 'a', files: { 'usr/x': '1' } },
        { name: 'b', fields: { Replaces: 'a (<< 1)' }, files: { 'usr/x': '2' } },
      ],
      {},
      'a and b both have usr/x',
    ],
  ])('%s', async (_what, debs, options, message) => {
    await expect(put(debs, options)).rejects.toMatchObject({ code: 'TREE_CONFLICT', message });
  });

  it('are settled by Replaces in either order', async () => {
    const winner = { fields: { Replaces: 'loser (<= 1.0)' }, files: { 'usr/x': 'winner' } };
    const loser = { name: 'loser', files: { 'usr/x': 'loser' } };
    const early = await put([{ name: 'a', ...winner }, loser]);
    const late = await put([loser, { name: 'z', ...winner }]);
    expect([early.contents.get('usr/x'), late.contents.get('usr/x')]).toEqual(['winner', 'winner']);
  });

  it('disappear with an exclude', async () => {
    const debs = [
      { name: 'a', files: { 'usr/x': '1' } },
      { name: 'b', files: { 'usr/x': '2' } },
    ];
    const { contents } = await put(debs, {
      exclude: ['usr/x'],
      files: [{ path: 'usr/x', contents: '3' }],
    });
    expect(contents.get('usr/x')).toBe('3');
  });
});

describe('the same lock', () => {
  it('produces the same bytes in any time zone, locale and directory', async () => {
    const store = await tempStore();
    const lock = await lockOf(store, SEVERAL);
    const text = formatLock(lock);
    execFileSync('chmod', ['-R', 'a+rwX', store.dir]);
    const script = fileURLToPath(new URL('assembled-digest.ts', import.meta.url));
    const run = (cwd: string, umask: string, env: Record<string, string>, user?: number): string =>
      execFileSync(
        'sh',
        ['-c', `umask ${umask} && exec "$@"`, 'sh', process.execPath, script, store.dir, text],
        {
          cwd,
          env: { PATH: process.env['PATH'], ...env },
          uid: user,
          gid: user,
        },
      )
        .toString()
        .trim();
    const other = process.getuid?.() === 0 ? 65534 : undefined;
    const digests = [
      run(import.meta.dirname, '022', { TZ: 'UTC' }),
      run('/', '077', { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', HOME: '/nonexistent' }),
      run('/', '000', { TZ: 'America/St_Johns' }, other),
    ];
    expect(digests).toEqual([GOLDEN, GOLDEN, GOLDEN]);
  });
});

describe('a damaged store', () => {
  it.each([0, 0.5, 1])('is detected (at %d of the .deb)', async (place) => {
    const store = await tempStore();
    const lock = await lockOf(store, SEVERAL);
    const [first] = lock.packages;
    const blob = store.blobPath(first?.digest ?? digestOf(''));
    const bytes = await store.readBytes({ digest: first?.digest ?? digestOf('') });
    const at = Math.floor(place * (bytes.length - 1));
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await chmod(blob, 0o644);
    await writeFile(blob, bytes);
    const read = Array.fromAsync(assemble(lock, store, {}, { reporter: silentReporter }));
    await expect(read).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('is reported if it lacks a .deb', async () => {
    const store = await tempStore();
    const lock = await lockOf(await tempStore(), SEVERAL);
    const read = Array.fromAsync(assemble(lock, store, {}, { reporter: silentReporter }));
    await expect(read).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('temporary files', () => {
  it('are removed after success, failure and an early end', async () => {
    const store = await tempStore();
    const lock = await lockOf(store, SEVERAL);
    const left = async (): Promise<string[]> =>
      (await readdir(join(dirname(dirname(dirname(store.blobPath(digestOf(''))))), 'tmp'))).filter(
        (name) => !name.startsWith('.'),
      );
    const reporter = recorder();
    for await (const entry of assemble(lock, store, {}, { reporter }))
      if (entry.path === 'usr') break;
    expect(await left()).toEqual([]);
    const signal = AbortSignal.abort(new Error('stopped'));
    await expect(Array.fromAsync(assemble(lock, store, {}, { reporter, signal }))).rejects.toThrow(
      'stopped',
    );
    expect(await left()).toEqual([]);
    expect(reporter.events.filter(({ kind }) => kind === 'failed')).toHaveLength(1);
  });
});
