import { type Store } from '@lkt/oci';
import { type DebianLock, type LockedPackage } from '../../src/lock/lock.ts';
import { buildDeb, type TestDeb } from '../test-archive.ts';

/** @param source the source package of all; default: each has its own */
export async function lockOf(
  store: Store,
  debs: readonly TestDeb[],
  source?: string,
): Promise<DebianLock> {
  const packages: LockedPackage[] = [];
  for (const deb of debs) {
    const { digest, size } = await store.writeBytes(await buildDeb(deb));
    const { name, version = '1.0', architecture = 'amd64' } = deb;
    const path = `pool/${source ?? name}/${name}.deb`;
    packages.push({ name, version, architecture, archive: 'debian', path, size, digest });
  }
  return { suite: 'trixie', architecture: 'amd64', request: 'packages=x', packages };
}

export const SEVERAL: readonly TestDeb[] = [
  {
    name: 'a',
    files: {
      'usr/bin/a': { text: 'a'.repeat(3_000_000), mode: 0o755 },
      'usr/lib/z/a': { hardlink: 'usr/bin/a' },
    },
  },
  {
    name: 'b',
    compression: 'gzip',
    files: { 'usr/bin/b': { text: 'b'.repeat(400_000), mode: 0o4755 }, 'etc/b.conf': '' },
  },
  {
    name: 'c',
    compression: 'zstd',
    files: { 'lib/c.so.1': 'c', 'lib/c.so': { symlink: 'c.so.1' } },
  },
  { name: 'd', compression: 'none', files: { [`usr/share/${'long/'.repeat(60)}name`]: 'd' } },
];

/** The bytes of unchanged packages may change only together with ENGINE_EPOCH. */
export const GOLDEN = 'sha256:0f3625ed096afdaa91ca0fe5d061fb8311dbc0723cfd6a90fc2e056904b41f02';
