import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, digestHex, digestOf } from '@lkt/core';
import { describe, expect, test } from 'vitest';
import {
  type Component,
  type ComponentLicense,
  type Content,
  contentsOf,
  debComponent,
  describeImage,
  imageComponent,
  type InspectOptions,
  type KnownImage,
  spdxOf,
} from '../src/index.ts';
import type { EntryWithContent, Image, Store } from '@lkt/oci';
import { cacheFilePath } from '../src/cache-file.ts';
import { file, image, withStore } from './support.ts';

const IMAGE = digestOf('image');

const APK = `C:Q1abcdefghijklmnopqrstuvwxyz=
P:musl
V:1.2.5-r9
A:x86_64
L:MIT
o:musl
F:lib
R:ld-musl-x86_64.so.1

C:Q1bcdefghijklmnopqrstuvwxyza=
P:libcrypto3
V:3.3.2-r0
A:x86_64
L:Apache-2.0
o:openssl
`;

const DPKG = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.41-1)
Version: 2.41-1+b1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
`;

const ALPINE = 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.22.1\n';
const DEBIAN = "ID=debian\nVERSION_ID='13'\n";

async function purls(
  known: Promise<Image>,
  store: Parameters<typeof describeImage>[0],
): Promise<string[]> {
  const { contents } = await describeImage(store, await known, []);
  return contents.map(({ component }) => component.purl ?? '').toSorted();
}

test.each([
  ['install ok unpacked', 1],
  ['install ok half-configured', 1],
  ['install ok triggers-awaited', 1],
  ['install reinstreq half-installed', 1],
  ['hold ok installed', 1],
  ['deinstall ok config-files', 0],
  ['unknown ok not-installed', 0],
])('counts a package of dpkg in the state %s %d times', async (status, count) => {
  const database = `Package: libc6\nStatus: ${status}\nArchitecture: amd64\nVersion: 1\n`;
  await withStore(async (store) => {
    const known = image(store, [file('var/lib/dpkg/status', database)]);
    expect((await purls(known, store)).length).toBe(count);
  });
});

test('reads the databases of apk and dpkg', async () => {
  await withStore(async (store) => {
    expect(
      await purls(
        image(store, [file('etc/os-release', ALPINE)], [file('lib/apk/db/installed', APK)]),
        store,
      ),
    ).toEqual([
      'pkg:apk/alpine/libcrypto3@3.3.2-r0?arch=x86_64&distro=alpine-3.22.1&upstream=openssl',
      'pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64&distro=alpine-3.22.1',
    ]);
    expect(
      await purls(
        image(store, [
          file('usr/lib/os-release', DEBIAN),
          file('var/lib/dpkg/status', DPKG),
          file('var/lib/dpkg/status.d/tzdata', 'Package: tzdata\nVersion: 1\nArchitecture: all\n'),
          file('var/lib/dpkg/status.d/tzdata.md5sums', 'Package: no\nVersion: 1\n'),
        ]),
        store,
      ),
    ).toEqual([
      'pkg:deb/debian/libc6@2.41-1%2Bb1?arch=amd64&distro=debian-13&upstream=glibc%402.41-1',
      'pkg:deb/debian/tzdata@1?arch=all&distro=debian-13',
    ]);
  });
});

function parseCopyright(text: string): ComponentLicense {
  return { license: `${text}!` };
}

test('reads the licences of installed Debian packages, through links', async () => {
  await withStore(async (store) => {
    const link = { ...file('usr/share/doc/tzdata', ''), type: 'symlink' as const, link: 'libc6' };
    const made = await image(
      store,
      [
        file('var/lib/dpkg/status', DPKG),
        file('var/lib/dpkg/status.d/tzdata', 'Package: tzdata\nVersion: 1\nArchitecture: all\n'),
        file('usr/share/doc/libc6/copyright', 'old'),
        link,
      ],
      [file('usr/share/doc/libc6/copyright', 'The terms')],
    );
    const licensesOf = async (options?: InspectOptions) =>
      (await describeImage(store, made, [], options)).contents.map(
        ({ component: { name, license } }) => `${name} ${license}`,
      );
    expect(await licensesOf({ parseCopyright })).toEqual(['libc6 The terms!', 'tzdata The terms!']);
    expect(await licensesOf()).toEqual(['libc6 undefined', 'tzdata undefined']);
  });
});

test.each(['zz', 'aa'])('reads a database that is a hard link to %s', async (name) => {
  await withStore(async (store) => {
    const link = { ...file('var/lib/dpkg/status', ''), type: 'hardlink' as const };
    const layer = [file(name, DPKG), { ...link, link: name }];
    expect(await purls(image(store, [file('etc/os-release', DEBIAN)], layer), store)).toEqual([
      'pkg:deb/debian/libc6@2.41-1%2Bb1?arch=amd64&distro=debian-13&upstream=glibc%402.41-1',
    ]);
  });
});

test('assigns a file to the package that owns equal content in a known image, whatever its path', async () => {
  await withStore(async (store) => {
    const deb = debComponent({ name: 'dropbear', version: '1', architecture: 'amd64' });
    const libc = debComponent({ name: 'libc6', version: '2', architecture: 'amd64' });
    const server = await image(store, [
      file('usr/sbin/dropbear', 'server'),
      file('etc/motd', 'hello'),
    ]);
    const base = await image(store, [file('lib/libc.so.6', 'libc')]);
    const tool = await image(store, [file('usr/bin/cc', 'compiler')]);
    const known = (name: string, of: Image, owner: typeof deb): KnownImage => ({
      component: imageComponent(name, of.descriptor.digest),
      image: of,
      contents: async () => [{ component: owner }],
      ownerOf: async (path) => (path.startsWith('etc/') ? undefined : owner),
      goSuppliers: async () => new Map(),
      sourcePackages: [],
    });
    const [fromServer, fromBase, fromTool] = [
      known('lkt/server', server, deb),
      known('lkt/base', base, libc),
      known('lkt/tool', tool, libc),
    ];
    const final = await image(
      store,
      [file('lib/libc.so.6', 'libc')],
      [file('bin/sshd', 'server'), file('etc/motd', 'hello'), file('etc/own', 'own')],
    );
    const found = await describeImage(store, final, [fromTool, fromServer, fromBase]);
    expect(found.contents).toEqual([
      { component: libc, parts: [] },
      { component: deb, paths: ['bin/sshd'], parts: [] },
    ]);
    expect(found.base).toBe(fromBase);
    expect([...found.sources]).toEqual([fromServer]);
    expect(found.owners).toEqual(new Map([['bin/sshd', deb]]));
    // The cached lists produce the same description.
    expect(await describeImage(store, final, [fromTool, fromServer, fromBase])).toEqual(found);
    // An image on this base reads the same contents back from the document.
    const document = spdxOf({
      image: imageComponent('lkt/sshd', final.descriptor.digest),
      contents: found.contents,
      generatedFrom: [],
      buildTools: [fromTool.component],
    });
    expect(contentsOf(document).map(({ component }) => component)).toEqual(
      expect.arrayContaining([deb, libc]),
    );
    expect(contentsOf(document)).toHaveLength(2);
  });
});

function kernelFile(version: string): Buffer {
  const kernel = Buffer.alloc(0x1000);
  kernel.write('HdrS', 0x202);
  kernel.writeUInt16LE(0x200, 0x20e);
  kernel.write(`${version} (lkt@lkt) #1 SMP\0`, 0x400);
  return kernel;
}

function hardLink(path: string, target: string): EntryWithContent {
  return { ...file(path, ''), type: 'hardlink', link: target };
}

function debian(): readonly (readonly EntryWithContent[])[] {
  return [
    [
      file('etc/os-release', DEBIAN),
      file('var/lib/dpkg/status', DPKG),
      file('usr/share/doc/libc6/copyright', 'The terms'),
      file('usr/bin/tool', kernelFile('1.0.0')),
      file('boot/replaced', kernelFile('2.0.0')),
      file('boot/old/kernel', kernelFile('3.0.0')),
      file('boot/vmlinuz', kernelFile('4.0.0')),
      file('boot/removed', kernelFile('5.0.0')),
      file('etc/plain', 'plain'),
      { ...file('usr/share/doc/same', ''), type: 'symlink' as const, link: 'libc6' },
      hardLink('boot/a', 'boot/vmlinuz'),
    ],
    [
      file('usr/bin/tool', 'a script'),
      file('boot/old', 'a file in place of a directory'),
      file('var/lib/dpkg/status.d/tzdata', 'Package: tzdata\nVersion: 1\nArchitecture: all\n'),
      file('var/lib/dpkg/status.d/same', 'Package: same\nVersion: 1\nArchitecture: all\n'),
      file('var/lib/dpkg/status.d/bad', 'Package: ../doc/libc6\nVersion: 1\nArchitecture: all\n'),
      hardLink('usr/share/doc/tzdata/copyright', 'var/lib/dpkg/status.d/tzdata'),
    ],
  ];
}

const UPPERS: Record<string, () => readonly EntryWithContent[]> = {
  'a plain file': () => [file('etc/own', 'own')],
  'a hidden file': () => [file('boot/.wh.removed', '')],
  'a replaced file': () => [file('boot/replaced', 'own')],
  'hidden packages': () => [file('var/lib/.wh.dpkg', '')],
  'an opaque directory': () => [file('boot/.wh..wh..opq', ''), file('boot/own', 'own')],
  'a hidden link': () => [file('boot/.wh.a', '')],
  'another database': () => [file('var/lib/dpkg/status', DPKG.replaceAll('libc6', 'libc7'))],
  'another licence': () => [file('usr/share/doc/libc6/copyright', 'Other terms')],
  'no licence': () => [file('usr/share/doc/.wh.libc6', '')],
  'a hard link': () => [file('own', kernelFile('6.0.0')), hardLink('again', 'own')],
  'a copy of a file': () => [file('copy', 'plain'), file('kernel', kernelFile('4.0.0'))],
};

function foreign(made: Image): KnownImage {
  return {
    component: imageComponent('debian', made.descriptor.digest),
    image: made,
    contents: async () => undefined,
    goSuppliers: async () => new Map(),
    sourcePackages: [],
  };
}

describe('an image on a base image that was built elsewhere', () => {
  test.each(Object.entries(UPPERS))('has the packages of both, with %s', async (_, upper) => {
    await withStore(async (store) => {
      const from = foreign(await image(store, ...debian()));
      const made = await image(store, ...debian(), upper());
      const alone = await describeImage(store, made, [], { parseCopyright });
      expect(alone.contents.length).toBeGreaterThan(1);
      for (const time of ['first', 'second']) {
        const found = await describeImage(store, made, [from], { parseCopyright });
        expect(sorted(found.contents), time).toEqual(sorted(alone.contents));
        expect(found.base).toBe(from);
        expect(found.owners.size).toBe(alone.owners.size);
      }
    });
  });

  test('inspects the base once', async () => {
    await withStore(async (store) => {
      const lower = await image(store, ...debian());
      const from = foreign(lower);
      const first = await image(store, ...debian(), [file('etc/own', '')]);
      const { contents } = await describeImage(store, first, [from]);
      for (const { digest } of lower.manifest.layers) {
        rmSync(cacheFilePath(store, 'contents', digestHex(digest)));
        rmSync(join(store.dir, 'blobs/sha256', digestHex(digest)));
      }
      const second = await image(store, ...debian(), [file('etc/other', '')]);
      for (const { digest } of lower.manifest.layers)
        rmSync(join(store.dir, 'blobs/sha256', digestHex(digest)), { force: true });
      expect((await describeImage(store, second, [from])).contents).toEqual(contents);
    });
  });
});

function sorted(contents: readonly Content[]): readonly Content[] {
  return contents.toSorted((a, b) => canonicalJson(a).localeCompare(canonicalJson(b), 'en'));
}

/** Returns an image with tarballs of source packages. */
async function source(
  store: Store,
  name: string,
  ...sourcePackages: readonly Component[]
): Promise<KnownImage> {
  const made = await image(store, [file(`usr/src/${name}.orig.tar.xz`, name)]);
  return {
    component: imageComponent(`lkt/${name}`, made.descriptor.digest),
    image: made,
    contents: async () => undefined,
    ownerOf: async () => undefined,
    goSuppliers: async () => new Map(),
    sourcePackages,
  };
}

describe('a file that was compiled from a source package in the build', () => {
  const crun = debComponent({ name: 'crun', version: '1.21-1', architecture: 'source' });
  const linux = debComponent({ name: 'linux', version: '6.12.94-1', architecture: 'source' });
  const ELF = `\x7fELF${' '.repeat(600)}`;
  const kernel = kernelFile('6.12.94');

  test('belongs to it', async () => {
    await withStore(async (store) => {
      const known = [await source(store, 'crun', crun), await source(store, 'again', crun)];
      const made = await image(store, [file('usr/bin/crun', ELF), file('etc/text', 'text')]);
      const { contents, owners } = await describeImage(store, made, known);
      expect(contents).toEqual([{ component: crun, paths: ['usr/bin/crun'], parts: [] }]);
      expect(owners).toEqual(new Map([['usr/bin/crun', crun]]));
    });
  });

  test('belongs to none of several, from which the image then was compiled', async () => {
    await withStore(async (store) => {
      const known = [await source(store, 'crun', crun), await source(store, 'linux', linux)];
      const made = await image(store, [file('usr/bin/crun', ELF)]);
      const { contents, compiledFrom } = await describeImage(store, made, known);
      expect(contents).toEqual([]);
      expect(compiledFrom).toEqual([crun, linux]);
      const text = await image(store, [file('etc/text', 'text')]);
      expect((await describeImage(store, text, known)).compiledFrom).toEqual([]);
    });
  });

  test('is a kernel with its upstream version, in this image and in one with a copy', async () => {
    await withStore(async (store) => {
      const made = await image(store, [file('kernel', kernel)]);
      const built = await describeImage(store, made, [await source(store, 'linux', linux)]);
      expect(built.contents).toMatchObject([
        {
          component: {
            name: 'linux',
            purl: 'pkg:generic/linux@6.12.94',
            cpe: 'cpe:2.3:o:linux:linux_kernel:6.12.94:*:*:*:*:*:*:*',
          },
          paths: ['kernel'],
          parts: [{ component: linux }],
        },
      ]);
      const from: KnownImage = {
        ...(await source(store, 'linux', linux)),
        image: made,
        contents: async () => built.contents,
        ownerOf: async (path) => built.owners.get(path),
      };
      const copy = await image(store, [file('boot/vmlinuz', kernel)]);
      const [content] = (await describeImage(store, copy, [from])).contents;
      expect(content).toEqual({ ...built.contents[0], paths: ['boot/vmlinuz'] });
      // The same without any knowledge, but for the package of the source.
      const [alone] = (await describeImage(store, copy, [])).contents;
      expect(alone).toEqual({ ...content, parts: [] });
    });
  });

  test('is a part of the package that has the kernel', async () => {
    await withStore(async (store) => {
      const deb = debComponent({
        name: 'linux-image',
        version: '6.12.94-1',
        architecture: 'amd64',
      });
      const base = await image(store, [file('boot/vmlinuz', kernel)]);
      const from: KnownImage = {
        ...(await source(store, 'linux')),
        image: base,
        contents: async () => [{ component: deb }],
        ownerOf: async () => deb,
      };
      const made = await image(store, [file('kernel', kernel)]);
      expect((await describeImage(store, made, [from])).contents).toMatchObject([
        { component: deb, paths: ['kernel'], parts: [{ component: { version: '6.12.94' } }] },
      ]);
    });
  });
});

function go(name: string): Component {
  return { kind: 'go', name };
}

test('a document keeps nested parts, and a hostile document does not grow', async () => {
  const module = { component: go('module') };
  const deb = { component: go('deb'), parts: [module] };
  const contents = [{ component: go('program'), parts: [deb] }];
  const sbom = {
    image: imageComponent('lkt/a', IMAGE),
    contents,
    generatedFrom: [],
    buildTools: [],
  };
  const document = spdxOf(sbom);
  expect(contentsOf(document)).toMatchObject(contents);
  // Each package contains all packages, and so on.
  const many = Array.from({ length: 60 }, (_, index) => ({ component: go(`p${index}`) }));
  const wide = spdxOf({ ...sbom, contents: many });
  const ids = wide.packages.map(({ SPDXID }) => SPDXID);
  const relationships = ids.flatMap((spdxElementId) =>
    ids.map((relatedSpdxElement) => ({
      spdxElementId,
      relationshipType: 'CONTAINS' as const,
      relatedSpdxElement,
    })),
  );
  const hostile = { ...wide, relationships: [...wide.relationships, ...relationships] };
  const again = spdxOf({ ...sbom, contents: contentsOf(hostile) });
  expect(again.relationships.length).toBeLessThan(4 * relationships.length);
});
