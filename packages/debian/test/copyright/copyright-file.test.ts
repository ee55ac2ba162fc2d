import { describe, expect, it, test } from 'vitest';
import { licenseOfTexts, parseCopyright } from '../../src/copyright/copyright-file.ts';
import { spdxLicense } from '../../src/copyright/spdx-id.ts';
import { parseExpression } from '../spdx-expression.ts';

const FORMAT = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n';

function declared(...licenses: readonly string[]): string | undefined {
  const files = licenses.map(
    (license, index) => `Files: ${index}\nCopyright: x\nLicense: ${license}\n`,
  );
  return parseCopyright([FORMAT, ...files].join('\n'))?.declared;
}

test.each([
  ['GPL-2', 'GPL-2.0-only'],
  ['GPL-2+', 'GPL-2.0-or-later'],
  ['GPL-2.0+', 'GPL-2.0-or-later'],
  ['GPLv3+', 'GPL-3.0-or-later'],
  ['LGPL-2.1', 'LGPL-2.1-only'],
  ['AGPL-3+', 'AGPL-3.0-or-later'],
  ['GFDL-1.3+', 'GFDL-1.3-or-later'],
  ['GFDL-NIV-1.3', 'GFDL-1.3-no-invariants-only'],
  ['GPL', 'GPL-1.0-or-later'],
  ['Expat', 'MIT'],
  ['expat', 'MIT'],
  ['BSD-3-clause', 'BSD-3-Clause'],
  ['Apache-2', 'Apache-2.0'],
  ['Artistic', 'Artistic-1.0-Perl'],
  ['Artistic-2', 'Artistic-2.0'],
  ['ZLIB', 'Zlib'],
  ['CC0', 'CC0-1.0'],
  ['CC-BY-SA-4.0', 'CC-BY-SA-4.0'],
  ['GPL-2 with Linux-syscall-note exception', 'GPL-2.0-only WITH Linux-syscall-note'],
  ['GPL-3+ with Bison exception', 'GPL-3.0-or-later WITH Bison-exception-2.2'],
  ['GPL-3+ with autoconf exception', 'GPL-3.0-or-later WITH Autoconf-exception-3.0'],
  ['GPL-3+ with GCC Runtime Library exception', 'GPL-3.0-or-later WITH GCC-exception-3.1'],
  ['Apache-2.0 with LLVM exception', 'Apache-2.0 WITH LLVM-exception'],
  // SPDX has no such licence, version or exception, or several.
  ['public-domain', undefined],
  ['GPL-7', undefined],
  ['GPL-2+ with OpenSSL exception', undefined],
  ['BSD', undefined],
  ['Apache', undefined],
  ['constructor', undefined],
])('the short name %s is %s', (name, expected) => {
  expect(spdxLicense(name)).toBe(expected);
  if (expected !== undefined) expect(() => parseExpression(expected)).not.toThrow();
});

describe('a machine-readable copyright file', () => {
  it('declares the licences of all files, each once and sorted', () => {
    expect(declared('Expat', 'GPL-2+', 'Expat', 'Apache-2.0')).toBe(
      'Apache-2.0 AND GPL-2.0-or-later AND MIT',
    );
  });

  it.each([
    ['GPL-2 or MIT', 'GPL-2.0-only OR MIT'],
    ['GPL-1+ or Artistic and MIT', '(Artistic-1.0-Perl AND MIT) OR GPL-1.0-or-later'],
    ['GPL-1+ or Artistic, and MIT', '(Artistic-1.0-Perl OR GPL-1.0-or-later) AND MIT'],
    ['LGPLv3+_or_GPLv2+', 'GPL-2.0-or-later OR LGPL-3.0-or-later'],
    ['MIT, ISC', 'ISC AND MIT'],
    ['MIT and/or ISC', 'ISC AND MIT'],
    ['Perl', 'Artistic-1.0-Perl OR GPL-1.0-or-later'],
    ['BSD-4-clause-UC', 'BSD-4-Clause-UC'],
  ])('combines %s', (license, expected) => {
    expect(declared(license)).toBe(expected);
    expect(() => parseExpression(expected)).not.toThrow();
  });

  it('returns a licence that SPDX does not list with its text', () => {
    const text = [
      FORMAT,
      'Files: *\nCopyright: x\nLicense: Expat and XPM\n',
      'Files: a\nCopyright: x\nLicense: permissive\n Do what you like.\n .\n Really.\n',
      'License: XPM\n Permission is granted.\n',
    ].join('\n');
    const found = parseCopyright(text);
    expect(found?.declared).toMatch(
      /^LicenseRef-XPM-[0-9a-f]{16} AND LicenseRef-permissive-[0-9a-f]{16} AND MIT$/,
    );
    expect(found?.texts).toEqual([
      { id: found?.declared.split(' ')[0], name: 'XPM', text: 'Permission is granted.' },
      {
        id: found?.declared.split(' ')[2],
        name: 'permissive',
        text: 'Do what you like.\n.\nReally.',
      },
    ]);
    expect(parseCopyright(text.replace('granted', 'denied'))?.declared).not.toBe(found?.declared);
  });

  it('may have a field several times, as that of elfutils has comments', () => {
    const files = 'Files: *\nComment: a\nComment: b\n c\nLicense: MIT\nLicense: ISC\n text\n';
    expect(parseCopyright(`${FORMAT}\n${files}`)).toEqual({ declared: 'MIT', texts: [] });
  });

  it('may have the text in place of the short name, or only a licence of the whole', () => {
    expect(declared('Permission is hereby granted, free of charge, to any person')).toMatch(
      /^LicenseRef-copyright-[0-9a-f]{16}$/,
    );
    expect(parseCopyright(`${FORMAT}License: MIT\n`)?.declared).toBe('MIT');
    expect(parseCopyright(`${FORMAT}\nLicense: ISC\n text\n`)?.declared).toBe('ISC');
  });
});

describe('another copyright file', () => {
  it('is itself the licence; those that it names of Debian’s files are concluded, too', () => {
    const text = `This is free software under the GNU General Public License, version 2 or
(at your option) any later version. See /usr/share/common-licenses/GPL-2.`;
    const found = parseCopyright(text);
    expect(found?.declared).toMatch(/^LicenseRef-copyright-[0-9a-f]{16}$/);
    expect(found?.concluded).toBe(`GPL-2.0-or-later AND ${found?.declared}`);
    expect(found?.texts).toEqual([{ id: found?.declared, text }]);
  });

  it.each([
    ['the GPL version 3. See /usr/share/common-licenses/GPL-3.', 'GPL-3.0-only'],
    [
      'version 2 of the License, or (at your option) any later version: /usr/share/common-licenses/GPL',
      'GPL-2.0-or-later',
    ],
    ['/usr/share/common-licenses/Apache-2.0 or so', 'Apache-2.0'],
    [
      'as Perl: /usr/share/common-licenses/GPL-1 or /usr/share/common-licenses/Artistic',
      '(Artistic-1.0-Perl OR GPL-1.0-only)',
    ],
    ['/usr/share/common-licenses/BSD', undefined],
    ['Copyright: all rights reserved', undefined],
  ])('%s', (text, expected) => {
    const found = parseCopyright(text);
    expect(found?.concluded?.split(' AND LicenseRef')[0]).toBe(expected);
  });

  it('is known by its text even if it claims to be machine-readable', () => {
    const text = `${FORMAT}not a field\n`;
    expect(parseCopyright(text)?.texts).toEqual([expect.objectContaining({ text })]);
    expect(parseCopyright(' \n')).toBeUndefined();
  });
});

describe('a hostile file', () => {
  it('is read in one pass, into a bounded expression', () => {
    const lines = '\n'.repeat(2 ** 20);
    expect(licenseOfTexts([lines])?.texts[0]?.text).toHaveLength(2 ** 16);
    const names = Array.from(
      { length: 20_000 },
      (_, index) => `/usr/share/common-licenses/GPL-${index}`,
    );
    expect(parseCopyright(names.join(lines.slice(0, 500)))?.declared).toMatch(
      /^LicenseRef-copyright-/,
    );
    const licenses = Array.from({ length: 20_000 }, (_, index) => `x${index}`).join(' or ');
    expect(declared(licenses)).toMatch(/^LicenseRef-copyright-/);
  });
});
