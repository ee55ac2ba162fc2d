import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeTar } from '../../src/index.ts';
import { collect, file, run, tempDir } from '../support.ts';
import { everything, LONG_NAME } from './tar-writer-fixture.ts';

describe('other programs read the archive', () => {
  test('bsdtar', async () => {
    const utf8 = everything().filter((item) => !item.path.includes('\xff'));
    const listing = run('bsdtar', ['--numeric-owner', '-tvf', '-'], {
      input: await collect(writeTar(utf8)),
      env: { LC_ALL: 'C.UTF-8' },
    }).toString();
    expect(listing.trim().split('\n').length).toBe(utf8.length);
    expect(listing).toMatch(/^prw------- .* dir\/pipe$/m);
    expect(listing).toMatch(/^hrw-r--r-- .* dir\/link link to dir\/file$/m);
    expect(listing).toContain('dir/ünï\n');
    expect(listing).toContain(`${LONG_NAME}${LONG_NAME}/f\n`);
  });

  test('Python', async () => {
    await using temp = await tempDir();
    const path = join(temp.path, 'a.tar');
    await writeFile(path, await collect(writeTar(everything())));
    const program = `
import json, os, sys, tarfile
t = tarfile.open(sys.argv[1])
raw = lambda name: os.fsencode(name).decode('latin1')
print(json.dumps([[raw(m.name), m.type.decode(), m.mode, m.uid, m.gid, int(m.mtime), m.size, m.linkname,
  m.devmajor, m.devminor, m.pax_headers.get('SCHILY.xattr.security.capability')] for m in t]))`;
    const found = JSON.parse(run('python3', ['-c', program, path]).toString()) as unknown[];
    const flags = {
      file: '0',
      hardlink: '1',
      symlink: '2',
      char: '3',
      block: '4',
      directory: '5',
      fifo: '6',
    };
    expect(found).toEqual(
      everything().map((item) => [
        item.path,
        flags[item.type],
        item.mode,
        item.uid,
        item.gid,
        item.mtime,
        item.size,
        item.link ?? '',
        item.devMajor ?? 0,
        item.devMinor ?? 0,
        // The second to last byte is a newline that would end the record if its length did not say
        // otherwise.
        item.xattrs === undefined ? null : '\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\x0a=',
      ]),
    );
  });

  test('extraction restores extended attributes', async () => {
    await using temp = await tempDir();
    const value = Buffer.from('0001ff0a3d00', 'hex');
    const archive = await collect(
      writeTar([file('f', 'x', { xattrs: new Map([['user.lkt', value]]) })]),
    );
    run('tar', ['--xattrs', '-C', temp.path, '-xf', '-'], { input: archive });
    const program = 'import os, sys; print(os.getxattr(sys.argv[1], "user.lkt").hex())';
    expect(
      run('python3', ['-c', program, join(temp.path, 'f')])
        .toString()
        .trim(),
    ).toBe('0001ff0a3d00');
  });
});
