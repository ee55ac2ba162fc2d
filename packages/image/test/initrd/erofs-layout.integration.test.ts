import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { SOURCE_DATE_EPOCH } from '@lkt/oci';
import { expect, it } from 'vitest';
import { listDirectory, run } from '@lkt/testing/file-listing';
import { sampleConfig, tempDir, tempStore } from '../support.ts';
import { LISTS, composeAt, erofsConfig, filesOf, listed } from './erofs-layout-fixture.ts';

it.for(['zstd', 'none'] as const)(
  'splits the tree into file systems at the listed mount points, packed by %s',
  async (compressor) => {
    const store = await tempStore();
    const format = ['kernel+initrd', 'tar'] as const;
    const text = `${await erofsConfig(store)}volumes: [{name: site, image: ${/lkt\/runc:1@\S+/.exec(await sampleConfig(store))?.[0]}}]\n`;
    const built = await composeAt(store, text, { compressor, format });
    const files = await filesOf(`${built}-initrd.img`);
    const roots = listed(files);
    expect(roots.map(({ file, target }) => [file, target])).toEqual([
      ['roots/root.erofs', '/'],
      ['roots/containers.erofs', '/containers'],
      // Its image binds /b, which it lacks.
      ['roots/containers/onboot/000-first/lower.erofs', '/containers/onboot/000-first/lower'],
      ['roots/containers/volumes/site/lower.erofs', '/containers/volumes/site/lower'],
    ]);
    expect([...files.keys()].toSorted()).toEqual(
      ['init', ...roots.map(({ file }) => file), 'usr/share/lkt/initrd', ...LISTS].toSorted(),
    );

    const dir = tempDir();
    const out = join(dir, 'out');
    for (const { sum, file, target } of roots) {
      const data = files.get(file) ?? Buffer.of();
      expect(crc32(data).toString(16).padStart(8, '0')).toBe(sum);
      writeFileSync(join(dir, 'x'), data);
      run(
        'fsck.erofs',
        '-d1',
        '--overwrite',
        '--xattrs',
        `--extract=${out}${target}`,
        join(dir, 'x'),
      );
    }
    const plain = join(dir, 'plain');
    mkdirSync(plain);
    run('bsdtar', '-xpf', `${built}.tar`, '-C', plain);
    rmSync(join(plain, 'boot'), { recursive: true });
    rmSync(join(plain, 'usr/share/lkt/manifest'));
    utimesSync(join(plain, 'usr/share/lkt'), SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH);
    expect(listDirectory(out)).toEqual(listDirectory(plain));
    expect(files.get('init')).toEqual(readFileSync(join(plain, 'init')));
  },
);

it('stores files of the config below a container root in its file system', async () => {
  const store = await tempStore();
  const path = 'containers/onboot/000-first/lower/etc/extra';
  const text = (await erofsConfig(store)).replace(
    'files:\n',
    `files:\n  - {path: ${path}, contents: more}\n  - {path: manifest, directory: true}\n`,
  );
  const files = await filesOf(`${await composeAt(store, text)}-initrd.img`);
  const dir = tempDir();
  const own = listed(files).find(({ target }) => target.endsWith('/lower'));
  writeFileSync(join(dir, 'x'), files.get(own?.file ?? '') ?? '');
  run('fsck.erofs', `--extract=${join(dir, 'out')}`, join(dir, 'x'));
  expect(readFileSync(join(dir, 'out/etc/extra'), 'utf8')).toBe('more');
  expect(listed(files).map(({ target }) => target)).not.toContain('/manifest');
});

it.for([
  ['xz', (text: string) => text, 'UNSUPPORTED', 'layout: lkt cannot compress an erofs with xz'],
  [
    'zstd',
    (text: string) => text.replace(' rootfstype=ramfs', ''),
    'CONFIG_INVALID',
    'layout: the kernel can mount a file only from a ramfs',
  ],
  [
    'zstd',
    (text: string) => text.replace(/ {2}- lkt\/able:.*\n/, ''),
    'UNSUPPORTED',
    'layout: no image of init supports it',
  ],
  [
    'zstd',
    (text: string) => text.replace(/ {2}- lkt\/init:.*\n/, ''),
    'UNSUPPORTED',
    'layout: it needs the file /init, and no image has one',
  ],
] as const)('says what is missing: %#', async ([compressor, change, code, message]) => {
  const store = await tempStore();
  const text = change(await erofsConfig(store));
  await expect(composeAt(store, text, { compressor })).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message) as string,
    fix: expect.any(String) as string,
  });
  await composeAt(store, text.replace('layout: erofs', 'layout: cpio'), { compressor });
});
