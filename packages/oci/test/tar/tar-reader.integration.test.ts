import { mkdir, symlink as link, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chunks, listTar, run, tempDir } from '../support.ts';

describe('archives of other programs', () => {
  const LONG = `${'d'.repeat(90)}/${'e'.repeat(90)}`;

  async function makeTree(root: string): Promise<void> {
    await mkdir(join(root, LONG), { recursive: true });
    await writeFile(join(root, LONG, 'f'.repeat(120)), 'deep');
    await writeFile(
      Buffer.concat([Buffer.from(`${root}/`), Buffer.from('n\xff\xfe', 'latin1')]),
      'raw',
    );
    await link(`${LONG}/${'g'.repeat(120)}`, join(root, 'far'));
    await writeFile(join(root, 'big'), 'x'.repeat(100_000));
    run('ln', ['big', 'hard'], { cwd: root });
    run('mkfifo', ['pipe'], { cwd: root });
    run('touch', ['-d', '@-5', 'big'], { cwd: root });
  }

  test.each([
    ['tar', ['--format=gnu']],
    ['tar', ['--format=pax']],
    ['tar', ['--format=posix', '--pax-option=globexthdr.name=g,globexthdr.mtime=0,comment=lkt']],
    ['tar', ['--format=gnu', '--owner=:300000000', '--group=:2000000000']],
    ['bsdtar', ['--format=pax', '--uid', '300000000', '--gid', '2000000000']],
    ['bsdtar', ['--format=gnutar']],
  ])('reads archives of %s %j', async (program, args) => {
    await using temp = await tempDir();
    await makeTree(temp.path);
    const names = ['./far', './big', './hard', './pipe', './n\xff\xfe', `./${LONG}`].join('\0');
    const archive = run(program, [...args, '--null', '-cf', '-', '-T', '-'], {
      cwd: temp.path,
      input: Buffer.from(`${names}\0`, 'latin1'),
      env: { LC_ALL: 'C.UTF-8' },
    });
    const entries = await listTar(chunks(archive, 10_000));
    expect(entries.map(({ path, type, size, link: target }) => [path, type, size, target])).toEqual(
      [
        ['far', 'symlink', 0, `${LONG}/${'g'.repeat(120)}`],
        ['big', 'file', 100_000, undefined],
        ['hard', 'hardlink', 0, 'big'],
        ['pipe', 'fifo', 0, undefined],
        ['n\xff\xfe', 'file', 3, undefined],
        [LONG, 'directory', 0, undefined],
        [`${LONG}/${'f'.repeat(120)}`, 'file', 4, undefined],
      ],
    );
    // bsdtar cannot write it in this format.
    expect(entries[1]?.mtime).toBe(args.includes('--format=gnutar') ? 0 : -5);
    expect(entries[4]?.data?.toString()).toBe('raw');
    if (args.some((arg) => arg.includes('300000000')))
      expect([entries[1]?.uid, entries[1]?.gid]).toEqual([300_000_000, 2_000_000_000]);
  });

  test('reads old formats: ustar, v7, Python', async () => {
    await using temp = await tempDir();
    await mkdir(join(temp.path, 'a'));
    await writeFile(join(temp.path, 'a/b'), 'content');
    const make =
      'import sys, tarfile; t = tarfile.open(fileobj=sys.stdout.buffer, mode="w|"); t.add("a"); t.close()';
    for (const archive of [
      run('tar', ['-cf', '-', 'a'], { cwd: temp.path }),
      run('tar', ['--format=ustar', '-cf', '-', 'a'], { cwd: temp.path }),
      run('tar', ['--format=v7', '-cf', '-', 'a'], { cwd: temp.path }),
      run('bsdtar', ['--format=ustar', '-cf', '-', 'a'], { cwd: temp.path }),
      run('python3', ['-c', make], { cwd: temp.path }),
    ]) {
      const entries = await listTar(chunks(archive));
      expect(entries.map(({ path, type, data }) => [path, type, data?.toString()])).toEqual([
        ['a', 'directory', undefined],
        ['a/b', 'file', 'content'],
      ]);
    }
  });

  test('reads binary extended attributes of GNU tar and bsdtar byte for byte', async () => {
    await using temp = await tempDir();
    await writeFile(join(temp.path, 'f'), '');
    const set =
      'import os, sys; os.setxattr(sys.argv[1], "user.lkt", bytes.fromhex("0001ff0a3d00"))';
    run('python3', ['-c', set, join(temp.path, 'f')]);
    for (const [program, args] of [
      ['tar', ['--xattrs']],
      ['bsdtar', ['--xattrs', '--format=pax']],
    ] as const) {
      const [found] = await listTar(
        chunks(run(program, [...args, '-cf', '-', 'f'], { cwd: temp.path })),
      );
      expect(found?.xattrs).toEqual(new Map([['user.lkt', Buffer.from('0001ff0a3d00', 'hex')]]));
      expect(found?.pax).toBeUndefined();
    }
  });
});
