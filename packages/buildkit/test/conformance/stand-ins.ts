import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Digest } from '@lkt/core';
import { type Store, writeImage, writeLayer } from '@lkt/oci';
import { directory, file, link } from '../../../builder/test/fixture.ts';

/** Stand-ins for the suite's images, which are in registries. All but the last two are equal. */
const STAND_INS = [
  'mirror.gcr.io/busybox',
  'mirror.gcr.io/alpine',
  'quay.io/libpod/centos:7',
  'registry.fedoraproject.org/fedora-minimal',
  'registry.fedoraproject.org/fedora-minimal:41-x86_64',
  'registry.fedoraproject.org/fedora-minimal:41-aarch64',
] as const;

/** Replaces references with a digest by their names. */
export function withoutDigests(dockerfile: string): string {
  return dockerfile.replaceAll(/@sha256:[0-9a-f]{64}/g, '');
}

const PASSWD = [
  'root:x:0:0:root:/root:/bin/sh',
  'bin:x:1:1:bin:/bin:/sbin/nologin',
  'daemon:x:2:2:daemon:/sbin:/sbin/nologin',
  'lp:x:4:7:lp:/var/spool/lpd:/sbin/nologin',
];
const GROUP = ['root:x:0:', 'bin:x:1:', 'daemon:x:2:', 'adm:x:4:', 'lp:x:7:', 'mail:x:12:'];

/**
 * Writes the stand-ins with what the suite's commands use: a busybox, a bash, a user database, some
 * files to read.
 */
export async function writeStandIns(store: Store): Promise<ReadonlyMap<string, Digest>> {
  const applets = execFileSync('busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const images = new Map<string, Digest>();
  const written = new Map<string, Digest>();
  for (const reference of STAND_INS) {
    const machine = /41-\w+$/.exec(reference)?.[0] ?? '';
    let digest = written.get(machine);
    if (digest === undefined) {
      const layer = await writeLayer(
        store,
        [
          directory('bin'),
          ...applets
            .filter((name) => name !== 'busybox')
            .map((name) => link(`bin/${name}`, 'busybox')),
          file('bin/bash', '#!/bin/sh\nexec /bin/sh "$@"\n', 0o755),
          file('bin/busybox', readFileSync('/usr/bin/busybox'), 0o755),
          // Installs nothing: `file` already exists.
          file('bin/file', '#!/bin/sh\ngrep -H . "$@"\n', 0o755),
          file('bin/microdnf', '#!/bin/sh\n', 0o755),
          directory('dev'),
          directory('etc'),
          file('etc/group', `${GROUP.join('\n')}\n`),
          file('etc/nsswitch.conf', 'hosts: files\n'),
          file('etc/os-release', 'ID=stand-in\n'),
          file('etc/passwd', `${PASSWD.join('\n')}\n`),
          directory('lib64'),
          file('lib64/libc.so.6', `library${machine}\n`),
          directory('proc'),
          directory('root', 0o700),
          directory('sys'),
          directory('tmp', 0o1777),
          directory('usr'),
          directory('usr/bin'),
          file('usr/bin/script', '#!/bin/sh\n', 0o755),
          directory('usr/local'),
          directory('usr/local/bin'),
          directory('var'),
        ].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
      );
      const config = { config: { Env: ['PATH=/usr/bin:/bin'], Cmd: ['sh'] } };
      const platform = { os: 'linux', architecture: 'amd64' };
      ({ digest } = await writeImage(store, { config, layers: [layer], platform }));
      written.set(machine, digest);
    }
    images.set(reference, digest);
  }
  return images;
}
