import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type EntryWithContent, toRaw, writeTar } from '../src/index.ts';
import { collect, directory, entry, file, hardlink, run, symlink, tempDir } from './support.ts';

const LONG = 'd'.repeat(60);

/** One entry of each kind that a layer can hold. */
function everything(): EntryWithContent[] {
  return [
    directory('dir', { mode: 0o1777 }),
    file('dir/file', 'content\n', { mode: 0o4755, uid: 1000, gid: 100 }),
    hardlink('dir/link', 'dir/file'),
    symlink('dir/symlink', '../etc/passwd'),
    entry('dir/null', { type: 'char', mode: 0o666, devMajor: 1, devMinor: 3 }),
    entry('dir/disk', { type: 'block', mode: 0o660, devMajor: 259, devMinor: 1_048_575 }),
    entry('dir/pipe', { type: 'fifo', mode: 0o600 }),
    entry('dir/.wh.gone', { mode: 0, mtime: 0 }),
    file(toRaw('dir/ünï'), 'x'),
    file('dir/\xff\xfe', 'y'),
    file(`${LONG}/${LONG}/f`, 'split'),
    file(`${LONG}${LONG}/f`, 'not split'),
    directory(`${LONG}/${LONG}/${LONG}`),
    file(`${LONG}/${LONG}/owner`, '', { uid: 2_097_152 }),
    symlink('dir/far', `${LONG}/${LONG}`),
    entry('dir/owner', { uid: 2_097_152, gid: 4_294_967_294 }),
    entry('dir/old', { mtime: -1 }),
    entry('dir/new', { mtime: 2 ** 33 }),
    file('dir/caps', 'z', {
      xattrs: new Map([
        ['user.empty', Buffer.alloc(0)],
        ['security.capability', Buffer.from('0100000200040000000000000000000000000a3d', 'hex')],
      ]),
      pax: new Map([['LINUXKIT.source', 'docker.io/lkt/init:1']]),
    }),
  ];
}

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
    expect(listing).toContain(`${LONG}${LONG}/f\n`);
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
