import { execFileSync } from 'node:child_process';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { upstreamLicense } from '../../src/copyright/upstream-license.ts';
import { pieces } from '../support.ts';

async function licenseIn(
  files: Readonly<Record<string, string>>,
  what = 'one_1.0.orig.tar.gz',
): ReturnType<typeof upstreamLicense> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-upstream-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, path)), { recursive: true });
    await writeFile(join(dir.path, path), text);
  }
  const tar = execFileSync('tar', ['-cz', '--sort=name', '-C', dir.path, '.']);
  return upstreamLicense({ content: pieces(tar), size: tar.length, what });
}

test('is that of the identifiers in the licence files at the top', async () => {
  const found = await licenseIn({
    'one-1.0/COPYING':
      'Provided under:\n\tSPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note\n',
    'one-1.0/LICENSE.md': '# SPDX-License-Identifier: MIT or Apache-2.0\n',
    'one-1.0/vendor/COPYING': 'SPDX-License-Identifier: ISC',
    'one-1.0/main.c': '/* SPDX-License-Identifier: ISC */',
  });
  expect(found).toEqual({
    declared: '(Apache-2.0 OR MIT) AND GPL-2.0-only WITH Linux-syscall-note',
    texts: [],
  });
});

test('is the text of a licence file without identifier', async () => {
  const found = await licenseIn({ 'one-1.0/LICENCE': 'Do what you like.' });
  expect(found?.declared).toMatch(/^LicenseRef-copyright-[0-9a-f]{16}$/);
  expect(found?.texts).toEqual([{ id: found?.declared, text: 'Do what you like.' }]);
});

test('is unknown without a licence file, and of a tarball that cannot be read', async () => {
  expect(await licenseIn({ 'one-1.0/README': 'MIT' })).toBeUndefined();
  expect(await licenseIn({ 'one-1.0/COPYING': 'MIT' }, 'one.orig.tar.bz2')).toBeUndefined();
  expect(await licenseIn({ 'one-1.0/COPYING': 'MIT' }, 'one.orig.tar')).toBeUndefined();
});
