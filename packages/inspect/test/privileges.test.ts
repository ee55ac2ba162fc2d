import { readInitrd } from '@lkt/formats';
import { singleChunk } from '@lkt/oci';
import { expect, it } from 'vitest';
import { readFacts } from '../src/facts.ts';
import { sourcesOf } from '../src/file-sources.ts';
import { imagePrivileges, privilegesOf } from '../src/privileges.ts';
import { type Files, initrdOf, PLATFORM, storeImage, tempStore } from './support.ts';

async function factsOf(files: Files): ReturnType<typeof readFacts> {
  return readFacts(readInitrd(singleChunk(initrdOf(files))), undefined);
}

const NONE = {
  command: [],
  user: '0:0',
  capabilities: [],
  allow: [],
  namespaces: [],
  binds: [],
  devices: [],
  isRootReadonly: false,
  noNewPrivileges: false,
};

it('reads the privileges of containers, and leaves out what has another form', async () => {
  const files = await factsOf({
    'containers/services/web/config.json': JSON.stringify({
      process: {
        args: ['/web', 1],
        user: { uid: 7, gid: '8' },
        capabilities: { bounding: ['CAP_KILL'] },
        noNewPrivileges: true,
      },
      root: { readonly: true },
      mounts: [
        null,
        { source: '/a', options: ['bind', 'ro'] },
        { source: '/b', options: ['rbind'] },
        { source: 'tmpfs', options: ['ro'] },
      ],
      annotations: { 'lkt.allow': 'mount  bpf' },
      linux: {
        seccomp: {},
        namespaces: [{ type: 'pid' }, 'net'],
        devices: [{ path: '/dev/kvm' }],
        resources: { memory: { limit: 5 }, pids: { limit: '6' } },
      },
    }),
    'containers/services/web/runtime.json': '{"restart":"always"}',
    'containers/onboot/000-odd/config.json': '[]',
    'containers/onboot/001-cut/config.json': '{',
    'containers/onboot/002-other/config.json': '{"process":"x","linux":[],"mounts":{}}',
    'containers/services/web/rootfs/config.json': '{}',
  });
  expect(privilegesOf(files)).toEqual([
    { ...NONE, container: 'onboot/002-other' },
    {
      container: 'services/web',
      command: ['/web'],
      user: '7:0',
      capabilities: ['KILL'],
      allow: ['mount', 'bpf', 'seccomp'],
      namespaces: ['pid'],
      binds: ['/a', '/b (writable)'],
      devices: ['/dev/kvm'],
      isRootReadonly: true,
      noNewPrivileges: true,
      memoryLimit: 5,
      restart: 'always',
    },
  ]);
});

it('keeps the contents of specs only, and of none larger than 1 MiB', async () => {
  const files = await factsOf({
    'containers/services/big/config.json': `{"a":"${'x'.repeat(2 ** 20)}"}`,
    'containers/services/big/runtime.json': '{}',
    'etc/motd': 'hello',
  });
  expect(
    [...files].filter(([, { content }]) => content !== undefined).map(([path]) => path),
  ).toEqual(['containers/services/big/runtime.json']);
  expect(privilegesOf(files)).toEqual([]);
});

it('reads the privileges of a package from its image', () => {
  const labels = {
    'org.mobyproject.config':
      '{"capabilities": ["CAP_KILL"], "binds": ["/run:/run"], "readonly": true}',
  };
  expect(imagePrivileges('a:1', { Cmd: ['/a'], Labels: labels })).toMatchObject({
    container: 'a:1',
    command: ['/a'],
    capabilities: ['KILL'],
    binds: ['/run (writable)'],
    isRootReadonly: true,
  });
});

it('finds the images that files of an initrd come from, by path and content', async () => {
  const store = await tempStore();
  const { digest } = await storeImage(store, { 'usr/web': 'web', 'etc/motd': 'one' });
  const files = await factsOf({
    'containers/services/web/rootfs/usr/web': 'web',
    'containers/services/two/lower/usr/web': 'other',
    'etc/motd': 'one',
    'usr/elsewhere': 'web',
    empty: '',
  });
  const view = {
    images: [
      { name: 'a:1', digest },
      { name: 'not-built' },
      { name: 'gone:1', digest: `sha256:${'0'.repeat(64)}` as typeof digest },
    ],
  };
  expect([...(await sourcesOf(view, files, store, PLATFORM))]).toEqual([
    ['containers/services/web/rootfs/usr/web', 'a:1'],
    ['etc/motd', 'a:1'],
  ]);
  expect([...(await sourcesOf(view, files, undefined, PLATFORM))]).toEqual([]);
});
