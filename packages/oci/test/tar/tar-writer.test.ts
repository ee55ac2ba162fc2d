import { digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import { writeTar } from '../../src/index.ts';
import { chunks, collect, entry, failure, file, run } from '../support.ts';
import { everything, LONG_NAME } from './tar-writer-fixture.ts';

test('writes the bytes of Go archive/tar (1.24, FormatPAX, same headers), as BuildKit does', async () => {
  expect(digestOf(await collect(writeTar(everything())))).toBe(
    'sha256:892a7188e196cb76cee9cdb1aac721facc9d1ad2eba82c7166a41533c86393cf',
  );
});

// Field offsets of POSIX.1-2017, pax, "ustar Interchange Format".
test('a header has exactly the fields of ustar', async () => {
  const block = (await collect(writeTar([file('a/b', 'hi', { uid: 8, gid: 9 })]))).subarray(0, 512);
  const fields = [
    `a/b${'\0'.repeat(97)}`,
    '0000644\0',
    '0000010\0',
    '0000011\0',
    '00000000002\0',
    '13075437410\0',
    block.toString('latin1', 148, 156),
    '0',
    '\0'.repeat(100),
    'ustar\x0000',
    '\0'.repeat(64),
    '0000000\0',
    '0000000\0',
    '\0'.repeat(167),
  ];
  expect(block.toString('latin1')).toBe(fields.join(''));
  expect(block.toString('latin1', 148, 156)).toMatch(/^0[0-7]{5}\0 $/);
});

test('pads files, and ends with two zero blocks', async () => {
  expect(await collect(writeTar([]))).toEqual(Buffer.alloc(1024));
  const archive = await collect(writeTar([file('a', 'x'.repeat(513))]));
  expect(archive.length).toBe(512 + 1024 + 1024);
  expect(archive.subarray(512 + 513)).toEqual(Buffer.alloc(1024 - 513 + 1024));
});

test.each([
  [100, undefined],
  [101, 'path'],
])(
  'writes for a name of %i characters without a slash the PAX record %s',
  async (length, record) => {
    const archive = await collect(writeTar([entry('n'.repeat(length))]));
    expect(archive.includes(' path=')).toBe(record !== undefined);
  },
);

test('a PAX record counts the digits of its own length', async () => {
  for (const length of [101, 90 + 900, 988, 989, 990, 991, 992]) {
    const name = 'n'.repeat(length);
    const archive = await collect(writeTar([entry(name)]));
    const text = archive.toString('latin1', 512, archive.indexOf('\n') + 1);
    expect(text).toBe(`${text.length} path=${name}\n`);
  }
});

describe('other programs read the archive', () => {
  test('GNU tar', async () => {
    const listing = run('tar', ['--numeric-owner', '--full-time', '-tvf', '-'], {
      input: await collect(writeTar(everything())),
    }).toString();
    expect(listing).toContain('drwxrwxrwt 0/0               0 2017-04-18 16:30:00 dir/\n');
    expect(listing).toContain('-rwsr-xr-x 1000/100          8 2017-04-18 16:30:00 dir/file\n');
    expect(listing).toContain(
      'hrw-r--r-- 0/0               0 2017-04-18 16:30:00 dir/link link to dir/file\n',
    );
    expect(listing).toContain('dir/symlink -> ../etc/passwd\n');
    expect(listing).toContain('crw-rw-rw- 0/0             1,3 2017-04-18 16:30:00 dir/null\n');
    expect(listing).toContain('brw-rw---- 0/0     259,1048575 2017-04-18 16:30:00 dir/disk\n');
    expect(listing).toContain('2097152/4294967294');
    expect(listing).toContain('1969-12-31 23:59:59 dir/old\n');
    expect(listing).toContain('2242-03-16 12:56:32 dir/new\n');
    expect(listing).toContain('dir/\\303\\274n\\303\\257\n');
    expect(listing).toContain('dir/\\377\\376\n');
    expect(listing).toContain(`${LONG_NAME}/${LONG_NAME}/${LONG_NAME}/\n`);
  });
});

test.each([
  ['longer', 'abc'],
  ['shorter', 'a'],
  ['shorter', ''],
])('rejects content %s than announced and names the file', async (relation, text) => {
  const bad = entry('etc/conf', { size: 2, content: chunks(text) });
  const error = await failure('IO_FAILED', collect(writeTar([bad])));
  expect(error.message).toBe(`etc/conf: its content is ${relation} than the expected 2 bytes`);
});

test.each([
  entry(''),
  entry('a\0b'),
  entry('a', { mode: 0o10000 }),
  entry('a', { uid: -1 }),
  entry('a', { uid: 1.5 }),
  entry('a', { mtime: 0.5 }),
  entry('a', { type: 'symlink' }),
  entry('a', { type: 'char', devMinor: 2 ** 21 }),
  entry('a', { pax: new Map([['a=b', '']]) }),
])('throws a plain Error for an entry that no archive can hold: %j', async (bad) => {
  await expect(collect(writeTar([bad]))).rejects.toThrow(/^(tar entry|bad PAX key)/);
});

test('rejects attributes beyond the limit of readers', async () => {
  const bad = entry('a', { xattrs: new Map([['user.a', Buffer.alloc(2 ** 20)]]) });
  await failure('UNSUPPORTED', collect(writeTar([bad])));
});
