import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Archives with every kind of entry, packed with GNU tar, and the Dockerfile that adds them. The
 * digests in add-archive.integration.test.ts are BuildKit's.
 */
export const ADD_ARCHIVES = `FROM base
ADD plain.tar /plain
ADD small.tgz small.tar.bz2 /small/
ADD small.tar.xz /xz/deep/
ADD small.tar.zst other /zst/
ADD *.bin /byname/
ADD --chmod=700 broken.tar.gz empty.tar short.tar text.gz /kept/
RUN mkdir /over && cd /over && ln -s target lib && mkdir target tree && echo old > tree/old && echo old > file && mkdir dir && echo old > dir/x
ADD over.tar /over
RUN mkdir -p /way/real && ln -s /way/real /way/link
ADD small.tgz /way/link
ADD small.tgz .
ADD sub /sub
`;

/** Owners and devices: for a build that may create them. */
export const ADD_OWNERS = `FROM base
ADD owners.tar /
ADD owners.tar /tmp/
`;

/** Writes the archives into the build context, with the same bytes each time. */
export function writeArchives(directory: string): void {
  const tree = join(directory, '..', 'tree');
  const at = (...names: string[]): string => join(tree, ...names);
  const put = (name: string, content = name): void => writeFileSync(at(name), content);
  const tar = (output: string, words: readonly string[], members: readonly string[]): void => {
    execFileSync(
      'tar',
      [
        ['--create', '--file', join(directory, output), '--directory', tree, '--sort=name'],
        ['--no-recursion', '--mtime=@1400000000', ...words, ...members],
      ].flat(),
    );
  };
  const plain = ['--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
  mkdirSync(directory, { recursive: true });
  for (const name of ['', 'd', 'd/e', 'lib', 'dir', 'tree', 'implied', 'implied/a'])
    mkdirSync(at(name));
  for (const name of ['f', 'd/g', 'd/e/h', 'lib/in-lib', 'file', 'implied/a/b', 'late']) put(name);
  symlinkSync('f', at('s'));
  symlinkSync('/nowhere/at all', at('d/broken'));
  linkSync(at('d/g'), at('d/z-linked'));
  linkSync(at('d/broken'), at('d/broken-too'));
  execFileSync('mkfifo', [at('d/fifo')]);
  put(`long-${'n'.repeat(150)}`);
  put('größe');

  const members = ['d', 'd/g', 'd/z-linked', 'd/broken', 'd/broken-too', 'd/fifo', 'f', 's'];
  tar(
    'plain.tar',
    [...plain, '--format=gnu'],
    ['.', ...members, 'implied/a/b', `long-${'n'.repeat(150)}`, 'größe'],
  );
  tar('small.tgz', [...plain, '--gzip', '--format=pax'], ['./d/g', './f']);
  tar('small.tar.bz2', [...plain, '--bzip2', '--format=ustar'], ['d', 'd/e', 'd/e/h']);
  tar('small.tar.xz', [...plain, '--xz', '--format=v7'], ['d/e/h']);
  // Later names win, and a time after the epoch is clamped.
  tar('named.bin', [...plain, '--mtime=@2000000000'], ['d', 'f', 'd/g']);
  tar('over.tar', [...plain, '--transform=s,^s$,dir,'], ['lib', 'lib/in-lib', 'tree', 'file', 's']);
  tar('small.tar.zst', [...plain, '--zstd'], ['f']);
  writeFileSync(join(directory, 'other'), 'other\n');
  writeFileSync(join(directory, 'broken.tar.gz'), Buffer.from('1f8b0800ffff', 'hex'));
  writeFileSync(join(directory, 'empty.tar'), Buffer.alloc(10_240));
  writeFileSync(join(directory, 'short.tar'), 'x'.repeat(511));
  writeFileSync(join(directory, 'text.gz'), 'text\n'.repeat(200));
  mkdirSync(join(directory, 'sub'));
  execFileSync('cp', [join(directory, 'named.bin'), join(directory, 'sub/inner.tar')]);

  execFileSync('mknod', [at('d/null'), 'c', '1', '3']);
  execFileSync('mknod', [at('d/disk'), 'b', '7', '300']);
  execFileSync('chmod', ['6755', at('f')]);
  execFileSync('chmod', ['1777', at('d/e')]);
  execFileSync('chown', ['1000:70000', at('f')]);
  execFileSync('chown', ['-h', '5:6', at('s'), at('d'), at('d/g'), at('d/disk')]);
  execFileSync('setcap', ['cap_net_raw+ep', at('late')]);
  tar(
    'owners.tar',
    [
      '--numeric-owner',
      '--xattrs',
      '--xattrs-include=*',
      '--format=posix',
      '--pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime',
    ],
    ['d', 'd/disk', 'd/e', 'd/g', 'd/null', 'd/z-linked', 'f', 'late', 's'],
  );
}
