import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ContextFile } from '../src/index.ts';
import { build, contextOf, listing, scratch } from './fixture.ts';

// Rules of the Dockerfile reference about the files of COPY, ADD and WORKDIR, a row each. The other
// rules are in ../dockerfile/reference.test.ts.

const directory = scratch();
const store = join(directory.path, 'store');
let context: readonly ContextFile[] = [];
afterAll(() => directory[Symbol.dispose]());

beforeAll(() => {
  const path = join(directory.path, 'context');
  const files = {
    'file.txt': 'file\n',
    'run.sh': '#!/bin/sh\n',
    'home.txt': '',
    'home.md': '',
    'hom.c': '',
    'arr[0].txt': '',
    'index.js': '',
    'index.ts': '',
    'dir/inner.txt': 'inner\n',
    'dir/sub/deep.txt': '',
    'x/y/a.txt': '',
    'x/y/b.txt': '',
    'src/a.txt': '',
    'src/x/b.txt': '',
    'src/x/y/c.txt': '',
    'empty.tar.gz': '',
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  chmodSync(join(path, 'run.sh'), 0o755);
  symlinkSync('file.txt', join(path, 'link'));
  const archive = ['--create', '--gzip', '--owner=5', '--group=6', '--mode=640', '--file'];
  execFileSync('tar', [...archive, 'archive.bin', '-C', 'dir', 'inner.txt'], { cwd: path });
  context = contextOf(path);
});

type Row = readonly [line: string, files: readonly string[]];

function rows(title: string, cases: readonly Row[]): void {
  describe(title, () => {
    test.each(cases)('%s', async (line, files) => {
      const built = await build(store, `FROM base\n${line}\n`, { context });
      const lines = await listing(store, built);
      // Type, mode, owner and path; the time is the same for all.
      expect(lines.map((text) => text.replace(/ 1492533000 /, ' '))).toEqual(files);
    });
  });
}

const F = 'file 644 0:0';
const D = 'directory 755 0:0';

rows('Sources and destinations', [
  ['COPY file.txt /abs/', [`${D} abs`, `${F} abs/file.txt`]],
  ['COPY file.txt /abs', [`${F} abs`]],
  ['WORKDIR /w\nCOPY file.txt rel/', [`${D} w`, `${D} w/rel`, `${F} w/rel/file.txt`]],
  ['COPY file.txt /new/deep/er', [`${D} new`, `${D} new/deep`, `${F} new/deep/er`]],
  ['COPY file.txt run.sh /d/', [`${D} d`, `${F} d/file.txt`, 'file 755 0:0 d/run.sh']],
  ['COPY /file.txt /x', [`${F} x`]],
  ['COPY dir/ /d', [`${D} d`, `${F} d/inner.txt`, `${D} d/sub`, `${F} d/sub/deep.txt`]],
  ['COPY dir /d', [`${D} d`, `${F} d/inner.txt`, `${D} d/sub`, `${F} d/sub/deep.txt`]],
  ['COPY link /l', [`${F} l`]],
  [
    'RUN mkdir -m 700 /there\nCOPY file.txt /there',
    ['directory 700 0:0 there', `${F} there/file.txt`],
  ],
]);

rows('Pattern matching', [
  ['COPY *.md /d/', [`${D} d`, `${F} d/home.md`]],
  ['COPY index.?s /d/', [`${D} d`, `${F} d/index.js`, `${F} d/index.ts`]],
  ['COPY arr[[]0].txt /d/', [`${D} d`, `${F} d/arr[0].txt`]],
  ['COPY --exclude=*.txt hom* /d/', [`${D} d`, `${F} d/hom.c`, `${F} d/home.md`]],
  ['COPY --exclude=*.txt --exclude=*.md hom* /d/', [`${D} d`, `${F} d/hom.c`]],
]);

rows('Archives', [
  ['ADD archive.bin /d/', [`${D} d`, 'file 640 5:6 d/inner.txt']],
  ['ADD --unpack=false archive.bin /d/', [`${D} d`, `${F} d/archive.bin`]],
  ['COPY archive.bin /d/', [`${D} d`, `${F} d/archive.bin`]],
  ['ADD empty.tar.gz /d/', [`${D} d`, `${F} d/empty.tar.gz`]],
]);

rows('--chmod and --chown', [
  ['COPY --chmod=600 file.txt /x', ['file 600 0:0 x']],
  ['COPY --chmod=+x file.txt /x', ['file 755 0:0 x']],
  [
    'COPY --chmod=u=rwX,go= run.sh dir/sub /d/',
    [`${D} d`, 'file 600 0:0 d/deep.txt', 'file 700 0:0 d/run.sh'],
  ],
  ['COPY --chmod=g=u file.txt /x', ['file 664 0:0 x']],
  ['COPY --chown=55 file.txt /x', ['file 644 55:55 x']],
  ['COPY --chown=10:11 file.txt /x', ['file 644 10:11 x']],
  ['COPY --chown=joe file.txt /x', ['file 644 1000:1000 x']],
  ['COPY --chown=joe:staff --chmod=640 file.txt /x', ['file 640 1000:50 x']],
]);

rows('--link', [
  ['RUN ln -s /tmp /to\nCOPY --link file.txt /to/', [`${D} to`, `${F} to/file.txt`]],
  ['COPY --link file.txt /tmp/', [`${D} tmp`, `${F} tmp/file.txt`]],
  [
    'COPY --link --chmod=600 file.txt /tmp/',
    ['directory 1777 0:0 tmp', 'file 600 0:0 tmp/file.txt'],
  ],
  ['RUN ln -s /tmp /to\nCOPY file.txt /to/', ['directory 1777 0:0 tmp', `${F} tmp/file.txt`]],
]);

rows('--parents', [
  [
    'COPY --parents ./x/y/a.txt ./src/a.txt /p/',
    [`${D} p`, `${D} p/src`, `${F} p/src/a.txt`, `${D} p/x`, `${D} p/x/y`, `${F} p/x/y/a.txt`],
  ],
  ['COPY --parents ./x/./y/*.txt /p/', [`${D} p`, `${D} p/y`, `${F} p/y/a.txt`, `${F} p/y/b.txt`]],
  [
    'COPY --parents ./src/**/*.txt /p/',
    [
      `${D} p`,
      `${D} p/src`,
      `${F} p/src/a.txt`,
      `${D} p/src/x`,
      `${F} p/src/x/b.txt`,
      `${D} p/src/x/y`,
      `${F} p/src/x/y/c.txt`,
    ],
  ],
]);

rows('WORKDIR and here-documents', [
  ['WORKDIR /a/b', [`${D} a`, `${D} a/b`]],
  ['COPY <<EOF /greeting.txt\nhello\nEOF', [`${F} greeting.txt`]],
  [
    'COPY --chmod=755 <<-"A" <<B /d/\n\t1\nA\n2\nB',
    [`${D} d`, 'file 755 0:0 d/A', 'file 755 0:0 d/B'],
  ],
]);

test('does not replace a file with a directory', async () => {
  const building = build(store, 'FROM base\nRUN echo > /d\nCOPY dir /d\n', { context });
  await expect(building).rejects.toMatchObject({
    code: 'BUILD_FAILED',
    message: expect.stringMatching(/^Dockerfile:3:\d+: /) as string,
  });
});

test('runs a linked copy once, with the same layer on every base', async () => {
  const line = 'COPY --link dir /linked/\n';
  const first = await build(store, `FROM base\nRUN echo 1 > /one\n${line}`, { context });
  const second = await build(store, `FROM base\nRUN echo 2 > /two\n${line}`, { context });
  expect(second.cached).toEqual(['COPY --link dir /linked/']);
  expect(second.diffIds.at(-1)).toBe(first.diffIds.at(-1));
  const text = `FROM base\nRUN mkdir -m 700 /linked; echo kept > /linked/kept\n${line}RUN cat /linked/*.txt /linked/kept; stat -c %a /linked\n`;
  expect((await build(store, text, { context })).log).toBe('inner\nkept\n755\n');
});
