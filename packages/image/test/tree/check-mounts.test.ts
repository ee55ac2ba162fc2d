import { expect, it } from 'vitest';
import { compose } from '../compose-fixture.ts';
import { chunks, type Content, image, link, tempStore } from '../support.ts';

const program = (): Content => ({
  type: 'file',
  mode: 0o755,
  size: 1,
  content: chunks(Buffer.from('x')),
});

const SEALED = 'erofs seccomp mkdir ready after restart';

/** Composes a system, and returns the warnings. Its containers have the image `IMAGE`. */
async function warnings(config: string, features = SEALED): Promise<readonly string[]> {
  const store = await tempStore();
  const init = await image(
    store,
    [
      {
        init: 'i',
        'usr/share/a/file': '',
        'etc/': '',
        'etc/hosts': '',
        'opt/': '',
        data: link('opt'),
        'srv/': '',
      },
    ],
    { Labels: { 'lkt.guest.features': features } },
  );
  const files = {
    'bin/': '',
    'bin/web': program(),
    'etc/': '',
    'etc/file': 'x',
    'd/': '',
    file: link('/etc/file'),
    dir: link('d'),
    below: link('/etc/file/x'),
    dangling: link('/nothing'),
  };
  const web = await image(store, [files], { Env: ['PATH=/bin'], Cmd: ['/bin/web'] });
  const text = `init: [lkt/init:1@${init}]\n${config.replaceAll('IMAGE', `acme/web:1@${web}`)}\n`;
  return (await compose(store, text, { format: ['tar'] })).warnings;
}

const service = (settings: string): string => `services: [{name: web, image: IMAGE, ${settings}}]`;

it.each([
  ['tmpfs: [/d]', undefined],
  ['tmpfs: [/new/dir]', undefined],
  ['tmpfs: [/dir]', undefined],
  ['tmpfs: [/dangling]', undefined],
  ['tmpfs: [/etc/file]', 'services[0].tmpfs[0]: nothing can be mounted at /etc/file'],
  ['tmpfs: [/etc/file/]', 'nothing can be mounted at /etc/file/'],
  ['tmpfs: [/file]', 'nothing can be mounted at /file'],
  ['tmpfs: [/etc/file/x]', 'nothing can be mounted at /etc/file/x'],
  ['tmpfs: [/below]', 'nothing can be mounted at /below'],
  ['mounts: [{type: proc, destination: /file}]', 'services[0].mounts[0]: nothing can be mounted'],
  ['mounts: [{type: bind, source: /var/x, destination: /etc/file}]', undefined],
  ['binds: ["/var/x:/etc/file"]', undefined],
  ['binds: ["/var/x:/etc/file/x"]', 'services[0].binds[0]: nothing can be mounted'],
  // Another mount hides the file.
  ['tmpfs: [/etc, /etc/file/x]', undefined],
  ['tmpfs: [/etc/file], runtimeClass: gvisor', undefined],
  // In the root of the machine.
  ['binds: ["/etc/hosts:/etc/file"]', undefined],
  ['binds: ["/etc/hosts:/new/file"]', undefined],
  ['binds: ["/data:/d"]', undefined],
  ['binds: ["/etc/hosts:/d"]', '/etc/hosts cannot be bound to /d'],
  ['binds: ["/opt:/etc/file"]', '/opt cannot be bound to /etc/file'],
  ['binds: ["/opt/x:/d"]', 'services[0].binds[0]: the machine has no /opt/x to bind'],
  ['binds: ["/new:/d"]', 'the machine has no /new to bind'],
  ['binds: ["/etc/hosts/x:/d"]', 'the machine has no /etc/hosts/x to bind'],
  ['binds: ["/data/x:/d"]', 'the machine has no /data/x to bind'],
  ['binds: ["/run/x:/d", "/dev/x:/x", "/proc/1:/y"]', undefined],
  ['binds: ["/opt/x:/d"], capabilities: [all]', undefined],
  ['binds: ["/new:/d"], capabilities: [CAP_SYS_ADMIN]', 'the machine has no /new to bind'],
  [
    'binds: ["/opt/x:/d"], runtime: {mounts: [{destination: /opt, type: tmpfs, source: t}]}',
    undefined,
  ],
  ['runtime: {mkdir: [/var/lib/x, /run/x, relative, /opt]}', undefined],
  ['runtime: {mkdir: [/new/x]}', 'services[0].runtime.mkdir: init cannot make /new/x'],
  ['runtime: {mkdir: [{path: /opt/x, uid: 1}]}', 'init cannot make /opt/x'],
  // A readiness check runs in the container.
  ['ready: {exec: [web]}', undefined],
  [
    'ready: {exec: [nope]}, readonly: true',
    'services[0].ready.exec: the readiness check cannot run: acme/web:1 has no program "nope"',
  ],
  ['ready: {exec: [/d/nope]}, readonly: true, tmpfs: [/d]', undefined],
  ['tmpfs: ["/d:size=64m,mode=1777,uid=0x10,nr_inodes=1k,size=5%,noexec"]', undefined],
  ['tmpfs: ["/d:size=64q"]', 'services[0].tmpfs[0]: tmpfs does not take "size=64q"'],
  ['tmpfs: ["/d:mode=0o755"]', 'tmpfs does not take "mode=0o755"'],
  ['tmpfs: ["/d:size"]', 'tmpfs does not take "size"'],
  ['tmpfs: ["/d:uid=root"]', 'tmpfs does not take "uid=root"'],
  ['tmpfs: ["/d:gid=4294967295"]', 'tmpfs does not take "gid=4294967295"'],
  ['tmpfs: ["/d:nr_blocks=5%"]', 'tmpfs does not take "nr_blocks=5%"'],
  [
    'mounts: [{type: tmpfs, destination: /d, options: ["size=x"]}]',
    'services[0].mounts[0]: tmpfs does not take "size=x"',
  ],
] as const)('%s', async (settings, message) => {
  const composing = warnings(service(settings), `${SEALED} runtimeClass:gvisor`);
  if (message === undefined) expect(await composing).toEqual([]);
  else
    await expect(composing).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
    });
});

it('accepts the parent of a file that only its path names', async () => {
  const bound = service('binds: ["/new/dir:/d", "/usr/share:/x"]');
  const files = 'files: [{path: new/dir/file, contents: x}]';
  expect(await warnings(`${files}\n${bound}`)).toEqual([]);
});

it('only warns about a readiness check whose program the service may write', async () => {
  expect(await warnings(service('ready: {exec: [/bin/nope]}'))).toEqual([
    expect.stringContaining('the readiness check cannot run: acme/web:1 has no program /bin/nope'),
  ]);
});

it('accepts paths of the machine with an init that may leave the root writable', async () => {
  const settings = 'binds: ["/new:/d"], runtime: {mkdir: [/new]}';
  expect(await warnings(service(settings), 'seccomp mkdir')).toEqual([]);
});

const BOUND = 'runtime: {bindNS: {net: /run/netns/a}}';
const IN = 'net: /run/netns/a';
const one = (name: string, settings: string): string =>
  `{name: ${name}, image: IMAGE, ${settings}}`;

it.each([
  [`onboot: [${one('a', BOUND)}, ${one('b', IN)}]`, undefined],
  [`onboot: [${one('a', BOUND)}]\nservices: [${one('b', IN)}]`, undefined],
  [`services: [${one('a', IN)}, ${one('b', BOUND)}]`, undefined],
  [`services: [${one('a', IN)}]`, undefined],
  [`onboot: [${one('a', BOUND)}, ${one('b', `${IN}, ${BOUND}`)}]`, undefined],
  [
    `onboot: [${one('a', IN)}, ${one('b', BOUND)}]`,
    'onboot[0].net: nothing is at /run/netns/a yet',
  ],
  [`onboot: [${one('a', IN)}]\nservices: [${one('b', BOUND)}]`, 'onboot[0].net: nothing is at'],
  [`services: [${one('a', `${IN}, ${BOUND}`)}]`, 'services[0].net: nothing is at'],
  [
    `onboot: [${one('x', 'capabilities: [all]')}, ${one('a', IN)}]\nservices: [${one('b', BOUND)}]`,
    undefined,
  ],
])('a namespace of %s', async (config, message) => {
  if (message === undefined) expect(await warnings(config)).toEqual([]);
  else await expect(warnings(config)).rejects.toThrow(message);
});
