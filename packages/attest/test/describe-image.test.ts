import { expect, test } from 'vitest';
import {
  contentsOf,
  debComponent,
  describeImage,
  imageComponent,
  type KnownImage,
  spdxOf,
} from '../src/index.ts';
import type { Image } from '@lkt/oci';
import { file, image, withStore } from './support.ts';

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

test('reads a database that is a hard link to another file', async () => {
  await withStore(async (store) => {
    const link = { ...file('var/lib/dpkg/status', ''), type: 'hardlink' as const };
    const layer = [file('zz', DPKG), { ...link, link: 'zz' }];
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
