import { digestOf } from '@lkt/core';
import type { DebianLock } from '@lkt/debian';
import { expect, test } from 'vitest';
import { debsOf } from '../../src/attest/deb-components.ts';

test('names a Debian package by the version of its source', () => {
  const item = {
    name: 'dmsetup',
    version: '2:1.02.205-2',
    architecture: 'amd64',
    archive: 'debian',
    path: 'pool/main/l/lvm2/dmsetup_1.02.205-2_amd64.deb',
    size: 1,
    digest: digestOf('deb'),
  } as const;
  const lock: DebianLock = {
    suite: 'trixie',
    architecture: 'amd64',
    request: 'packages=dmsetup',
    packages: [item],
  };
  const metadata = new Map([['dmsetup', { name: 'dmsetup', sourceVersion: '2.03.31-2' }]]);
  const [[, component] = []] = debsOf(lock, metadata);
  expect(component?.purl).toBe(
    'pkg:deb/debian/dmsetup@2%3A1.02.205-2?arch=amd64&distro=trixie&upstream=lvm2%402.03.31-2',
  );
});
