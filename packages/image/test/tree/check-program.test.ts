import type { ContainerConfig } from '@lkt/oci';
import { expect, it } from 'vitest';
import { compose } from '../compose-fixture.ts';
import { chunks, type Content, image, link, tempStore } from '../support.ts';

const PROGRAM: Content = {
  type: 'file',
  mode: 0o755,
  size: 1,
  content: chunks(Buffer.from('x')),
};

const FILES = (): Readonly<Record<string, Content>> => ({
  'bin/': '',
  'bin/web': { ...PROGRAM, content: chunks(Buffer.from('x')) },
  'bin/text': 'x',
  'x/': '',
  'x/web/': '',
  absolute: link('/bin/web'),
  up: link('../../bin/web'),
  dangling: link('/nothing'),
  sbin: link('bin'),
});

/** Composes a system with one service, and returns the warnings. */
async function warnings(
  service: string,
  config: ContainerConfig = {},
  features = 'erofs seccomp',
): Promise<readonly string[]> {
  const store = await tempStore();
  const init = await image(store, [{ init: 'i' }], { Labels: { 'lkt.guest.features': features } });
  const web = await image(store, [FILES()], { Env: ['PATH=/x:/none:/sbin'], ...config });
  const text = `init: [lkt/init:1@${init}]
services:
  - name: web
    image: acme/web:1@${web}
    ${service}
`;
  return (await compose(store, text, { format: ['tar'] })).warnings;
}

it.each([
  ['command: [/bin/nope]', {}, '5:14: services[0].command: acme/web:1 has no program /bin/nope'],
  ['command: [/bin/web/]', {}, undefined],
  ['command: [/bin]', {}, '/bin is a directory in acme/web:1'],
  ['command: [/bin/text]', {}, '/bin/text is not executable in acme/web:1'],
  ['command: [/dangling]', {}, 'acme/web:1 has no program /dangling'],
  ['command: [/bin/web/x]', {}, 'has no program /bin/web/x'],
  ['command: [/absolute]', {}, undefined],
  ['command: [/up]', {}, undefined],
  ['command: [web]', {}, undefined],
  ['command: [text]', {}, 'has no program "text": PATH is /x:/none:/sbin'],
  ['command: [""]', {}, 'has no program ""'],
  ['command: [web]', { Env: [] }, 'has no program "web": the environment has no PATH'],
  ['command: [web]', { Env: ['PATH=/bin', 'PATH=/x'] }, 'PATH is /x'],
  // runc and crun differ about relative ones.
  ['command: [web]', { Env: ['PATH=:/x'] }, undefined],
  ['command: [./web]', {}, 'has no program ./web'],
  ['command: [./web]', { WorkingDir: '/bin' }, undefined],
  ['cwd: /bin/web', { Cmd: ['/bin/web'] }, '5:10: services[0].cwd: /bin/web is not a directory'],
  ['cwd: /new/one', { Cmd: ['/bin/web'] }, undefined],
  ['net: host', { Cmd: ['/nope'] }, '3:11: services[0].name: acme/web:1 has no program /nope'],
  // A mount may bring the program.
  ['binds: ["/var:/opt"]', { Cmd: ['/opt/a/b'] }, undefined],
  ['binds: ["/var/x:/bin/text"]', { Cmd: ['/bin/text'] }, undefined],
  ['binds: ["/var/x:/sbin"]', { Cmd: ['/bin/nope'] }, undefined],
  ['tmpfs: ["/opt"]', { Cmd: ['/bin/nope'] }, 'has no program /bin/nope'],
  ['runtime: {mounts: [{destination: opt, type: t}]}', { Cmd: ['/opt/a'] }, undefined],
  ['runtime: {mounts: [{destination: /containers/a, type: t}]}', { Cmd: ['/nope'] }, undefined],
] as const)('%s, image %j', async (service, config, message) => {
  const composing = warnings(service, config);
  if (message === undefined) expect(await composing).toEqual([]);
  else
    await expect(composing).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
    });
});

it('only warns where a container could change the files of another', async () => {
  expect(await warnings('command: [/nope]', {}, 'seccomp')).toEqual([
    expect.stringMatching(/^system\.yml:5:14: services\[0\]\.command: acme\/web:1 has no program/),
  ]);
});
