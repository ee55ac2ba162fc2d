import { digestOf, LktError } from '@lkt/core';
import { fuzz } from '@lkt/testing/fuzz';
import { test } from 'vitest';
import { parseDeb822Sources, parseOneLineSources } from '../src/archive/apt-sources.ts';
import { parsePackage } from '../src/archive/packages-index.ts';
import { parseRelease } from '../src/archive/release.ts';
import { parseSource } from '../src/archive/source-package.ts';
import { vulnerabilitiesAfter } from '../src/deb/changelog.ts';
import { arHeader, readAr } from '../src/deb/ar.ts';
import { parseCopyright } from '../src/copyright/copyright-file.ts';
import { parseDeb822 } from '../src/deb/deb822.ts';
import { parseLock } from '../src/lock/lock.ts';
import { parseRelations } from '../src/lock/relation.ts';
import { parseExpression } from './spdx-expression.ts';
import { pieces } from './support.ts';

const isRejection = (error: unknown): boolean => error instanceof LktError;

const lock = `# Written by \`lkt pkg lock\`.
suite trixie
architecture amd64
request packages=bash

bash 5.2.37-2+b5 amd64 debian/pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb 1500792 ${digestOf('a')}
`;
const paragraph = `Package: one
Version: 1:2.0-1+b2
Source: two (1:2.0-1)
Architecture: amd64
Filename: pool/one.deb
Depends: two (>= 1) | three,
 four:any
Size: 5
SHA256: ${'a'.repeat(64)}
`;
const source = `Package: one
Version: 2.0-1
Directory: pool/main/o/one
Checksums-Sha256:
 ${'a'.repeat(64)} 5 one_2.0-1.dsc
 ${'b'.repeat(64)} 6 one_2.0.orig.tar.xz
`;
const release = `Origin: Debian
Suite: stable-security
Codename: trixie-security
Valid-Until: Tue, 08 Dec 2026 08:10:14 UTC
Acquire-By-Hash: yes
SHA256:
 ${'a'.repeat(64)} 5 main/binary-amd64/Packages.xz
`;
const sources = 'Types: deb\nURIs: https://example.com/debian\nSuites: trixie\nComponents: main\n';

test.each([
  ['parseLock', (text: string) => parseLock({ path: 'debian.lock', text }), lock],
  ['parsePackage', (text: string) => parsePackage(text, 'debian'), paragraph],
  ['parseSource', (text: string) => parseSource(text, 'debian'), source],
  ['parseRelease', (text: string) => parseRelease(text, 'InRelease'), release],
  ['parseDeb822', (text: string) => parseDeb822(text, 'control'), paragraph],
  ['parseDeb822Sources', (text: string) => parseDeb822Sources(text, 'x.sources'), sources],
  ['parseOneLineSources', parseOneLineSources, 'deb [arch=amd64] https://example.com/ trixie main'],
  ['parseRelations', parseRelations, 'two (>= 1) | three, four:any'],
] as const)('%s only rejects with an LktError', async (_, parse, seed) => {
  await fuzz([Buffer.from(seed)], (input) => parse(input.toString()), isRejection);
});

test('vulnerabilitiesAfter never fails, and returns identifiers', async () => {
  const changelog = `runc (1.1.15+ds1-2+deb13u1) trixie-security; urgency=high

  * Fix CVE-2025-31133, CVE-2025-52565.

 -- A <a@example.org>  Fri, 13 Nov 2026 10:00:00 +0000

runc (1.1.15+ds1-2) unstable; urgency=medium

  * Fix CVE-2024-1.
`;
  await fuzz(
    [Buffer.from(changelog)],
    (input) => {
      const found = vulnerabilitiesAfter(input.toString(), '1.1.15+ds1-2+deb13u1', '1.1.15+ds1-2');
      for (const id of found) if (!/^CVE-\d{4}-\d{4,7}$/.test(id)) throw new Error(id);
    },
    () => false,
  );
});

test('parseCopyright never fails, and returns valid expressions', async () => {
  const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-1+ or Artistic, and MIT with Bison exception
 See /usr/share/common-licenses/GPL-2.

License: MIT
 text
`;
  await fuzz(
    [Buffer.from(copyright)],
    (input) => {
      const { declared, concluded = declared } = parseCopyright(input.toString()) ?? {};
      for (const expression of [declared, concluded])
        if (expression !== undefined) parseExpression(expression);
    },
    () => false,
  );
});

function member(name: string, content: string): string {
  const padding = content.length % 2 === 0 ? '' : '\n';
  return `${arHeader(name, content.length).toString('latin1')}${content}${padding}`;
}

test('readAr only rejects with an LktError', async () => {
  const deb = `!<arch>\n${member('debian-binary', '2.0\n')}${member('data.tar', 'x'.repeat(99))}`;
  await fuzz(
    [Buffer.from(deb, 'latin1')],
    async (input) => {
      for await (const { content } of readAr(pieces(input)))
        for await (const chunk of content) void chunk;
    },
    isRejection,
  );
});
