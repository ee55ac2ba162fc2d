import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { build, leftovers, scratch, scratchPaths, untilGone } from '../fixture.ts';

/** Command that runs the following script as a user without privileges. */
const AS_NOBODY = [
  'setpriv',
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  process.execPath,
  '--no-warnings',
  '--input-type=module',
  '-e',
];

test("reaches the host's network if the network is allowed", async () => {
  using directory = scratch();
  await using server = createServer((_request, response) => response.end('here\n')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const command = `RUN printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 ${port} | tail -n 1; cat /etc/resolv.conf > /dev/null\n`;
  const built = await build(join(directory.path, 'store'), `FROM base\n${command}`, {
    network: true,
  });
  expect(built.log).toBe('here\n');
  const without = build(join(directory.path, 'store'), `FROM base\nRUN nc 127.0.0.1 ${port}\n`);
  await expect(without).rejects.toMatchObject({ code: 'BUILD_FAILED' });
});

test('keeps layers in memory for a store on an overlay file system', async () => {
  using directory = scratch();
  const at = (name: string): string => join(directory.path, name);
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name));
  const options = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, at('merged')]);
  try {
    const store = join(at('merged'), 'store');
    const text =
      'FROM base AS a\nRUN rm /bin/tee; echo 1 > /1\nFROM base\nCOPY --from=a /1 /\nRUN rm -r /tmp\n';
    const built = await build(store, text);
    expect(built.warnings).toEqual([expect.stringContaining('in memory')]);
    expect(built.diffIds).toEqual((await build(at('store'), text)).diffIds);
    expect((await build(store, text)).ran).toEqual([]);
    const changed = await build(store, text.replace('/tmp', '/tmp /1'));
    expect(changed.cached).toEqual(['RUN rm /bin/tee; echo 1 > /1', 'COPY --from=a /1 /']);
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  } finally {
    execFileSync('umount', [at('merged')]);
  }
});

test('names the missing id for another owner in a build without root', async () => {
  using directory = scratch();
  chownSync(directory.path, 65_534, 65_534);
  const script = `
    import { build } from ${JSON.stringify(join(import.meta.dirname, '../fixture.ts'))};
    for (const line of ['COPY --chown=5 <<a /a\\n1\\na', 'USER 7\\nRUN true', 'RUN chown 5 /tmp', 'RUN mknod /d c 4 5'])
      console.log(await build(process.argv[1], 'FROM base\\n' + line + '\\n').catch((e) => [e.code, e.fix ?? '', e.detail ?? ''].join(' | ')));
  `;
  const { stdout, stderr } = spawnSync(
    'env',
    [...AS_NOBODY, script, join(directory.path, 'store')],
    { encoding: 'utf8', cwd: '/' },
  );
  expect(stderr).toBe('');
  const lines = stdout.trim().split('\n');
  expect(lines[0]).toMatch(/^HOST_UNSUPPORTED \| install uidmap/);
  expect(lines[1]).toMatch(/^HOST_UNSUPPORTED \| install uidmap/);
  expect(lines.slice(2).join('\n')).toMatch(/BUILD_FAILED.*chown.*Invalid argument/s);
  expect(lines.at(-1)).toMatch(/mknod.*Operation not permitted/);
});

test('creates the same owners without root as with root, if there are subordinate ids', async () => {
  using directory = scratch();
  const text = `FROM base
RUN echo 1 > /one && chown 1000:50 /one && chmod 6755 /one && mkdir -m 700 /d && chown joe /d
COPY --chown=joe:staff <<two /two
2
two
USER joe
WORKDIR /home/joe/deep
RUN id -u > mine; id -G >> mine
FROM base
COPY --from=0 / /all/
`;
  const at = (name: string): string => join(directory.path, name);
  const expected = await build(at('store'), text);
  writeFileSync(at('ids'), '65534:100000:65536\n');
  const script = `
    import { build } from ${JSON.stringify(join(import.meta.dirname, '../fixture.ts'))};
    console.log((await build(process.argv[1], process.argv[2])).diffIds.join());
  `;
  mkdirSync(at('home'));
  chownSync(at('home'), 65_534, 65_534);
  // The machine's own files stay unchanged.
  const map = 'mount --bind "$0" /etc/subuid; mount --bind "$0" /etc/subgid; exec "$@"';
  const asUser = [...AS_NOBODY, script, at('home/store'), text];
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['--mount', 'sh', '-c', map, at('ids'), ...asUser],
    { encoding: 'utf8', cwd: '/' },
  );
  expect(stderr).toBe('');
  expect(stdout.trim()).toBe(expected.diffIds.join());
  expect(readdirSync(at('home/store/layers'))).toEqual(['65534+']);
});

test('names the setting of a machine that forbids user namespaces', () => {
  using directory = scratch();
  chownSync(directory.path, 65_534, 65_534);
  const script = `
    import { build } from ${JSON.stringify(join(import.meta.dirname, '../fixture.ts'))};
    const e = await build(process.argv[1], 'FROM base\\nRUN true\\n').catch((e) => e);
    console.log([e.code, e.message, e.fix, e.detail].join('\\n'));
  `;
  // The count is that of the test's user namespace, so the machine's own stays.
  const forbid = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"';
  const everyone = '0:0:4294967295';
  const users = ['--user', `--map-users=${everyone}`, `--map-groups=${everyone}`];
  const asUser = [...AS_NOBODY, script, join(directory.path, 'store')];
  const { stdout, stderr } = spawnSync('unshare', [...users, 'sh', '-c', forbid, 'sh', ...asUser], {
    encoding: 'utf8',
    cwd: '/',
  });
  expect(stderr).toBe('');
  const [code, message, fix, detail] = stdout.split('\n');
  expect(code).toBe('HOST_UNSUPPORTED');
  expect(message).toContain('user namespaces are forbidden here');
  expect(fix).toContain('sysctl -w user.max_user_namespaces=15000');
  expect(detail).toContain('unshare');
});

test('leaves nothing on the machine', async () => {
  expect(scratchPaths.length).toBeGreaterThan(1);
  await untilGone(() => scratchPaths.flatMap(leftovers));
});
