import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseYaml } from '@lkt/core';
import { guardedDirectory } from '@lkt/testing/guarded-directory';
import { beforeEach, describe, expect, test } from 'vitest';
import type { NodeRequest } from '../../../src/provider.ts';
import { netboot } from '../../../src/providers/netboot/kind.ts';
import { openNetboot } from '../../../src/providers/netboot/open.ts';
import { NETBOOT_SETTINGS } from '../../../src/providers/netboot/settings.ts';
import { EXAMPLE_LABELS } from '../../example-labels.ts';
import { describeProvider } from '../../provider-conformance.ts';
import { imageIn, macOf } from './rack.ts';

const MACHINES = new Map(
  [0, 1, 2].map((index) => [`rack-${index}`, { mac: macOf(index), address: '127.0.0.1' }]),
);
const TEMPLATE = { cpus: 1, memory: 16, publish: [8080], volumes: [] };

/** Switches a real QEMU, as a user's program switches a socket. */
const PROGRAM = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
pid=$3.pid
running() { kill -0 "$(cat "$pid" 2>/dev/null)" 2>/dev/null; }
echo "$1 $2 $3 $LKT_MAC" >>calls
case "$2" in
status) if running; then echo on; else echo off; fi ;;
on) running || qemu-system-x86_64 -nodefaults -no-user-config -display none -machine pc -accel tcg \\
  -m 16 -net none -daemonize -pidfile "$pid" ;;
off) if running; then kill -9 "$(cat "$pid")"; fi; rm -f "$pid" ;;
netboot | shutdown) ;;
*) echo "unknown action $2" >&2; exit 1 ;;
esac
`;

function request(image: string): NodeRequest {
  return {
    name: 'rack-0',
    image,
    labels: { ...EXAMPLE_LABELS, fleet: 'shop' },
    template: TEMPLATE,
    metadata: undefined,
    settings: undefined,
  };
}

test('leaves the machines of another fleet alone, which its own file names', async () => {
  await using dir = guardedDirectory('lkt-fleet-');
  const context = {
    dir: dir.path,
    stateDir: dir.path,
    variables: {},
    signal: AbortSignal.timeout(60_000),
  };
  const open = async (name: string): ReturnType<typeof netboot.open> =>
    netboot.open(
      { machines: new Map([[name, { mac: `52:54:00:12:35:0${name.at(-1)}` }]]) },
      { ...context, warn: () => undefined },
    );
  const options = { generation: 1, signal: context.signal };
  await using one = await open('rack-0');
  const image = await one.prepare(await imageIn(dir.path, 'hello'), options);
  await one.create(request(image), options);
  await using other = await open('rack-1');
  expect(await other.list('office', options)).toEqual([]);
  expect(await one.list('shop', options)).toMatchObject([{ name: 'rack-0' }]);
});

describeProvider('netboot by a program', async () => {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(guardedDirectory('lkt-fleet-'));
  await writeFile(join(dir, 'switch'), PROGRAM, { mode: 0o755 });
  const settings = { state: 'state', command: ['./switch', 'rack'], machines: MACHINES };
  const context = { dir, stateDir: dir, variables: {}, signal: new AbortController().signal };
  const fixture = {
    open: async () => netboot.open(settings, { ...context, warn: () => undefined }),
    image: await imageIn(dir, 'hello'),
    otherImage: await imageIn(dir, 'other'),
    template: TEMPLATE,
    impossible: { name: '../escape' },
    powerOff: async ({ name }: { readonly name: string }) => {
      process.kill(Number(await readFile(join(dir, `${name}.pid`), 'utf8')), 'SIGKILL');
    },
  };
  const owned = stack.move();
  return {
    ...fixture,
    [Symbol.asyncDispose]: async () => {
      const calls = await readFile(join(dir, 'calls'), 'utf8');
      // The boot device is set before the start.
      expect(calls).toMatch(/rack netboot rack-0 52:54:00:12:34:00\nrack on rack-0 /);
      expect(await readdir(join(dir, 'state', 'nodes'))).toEqual([]);
      await owned.disposeAsync();
    },
  };
});

describeProvider('netboot by hand', async () => {
  await using stack = new AsyncDisposableStack();
  const { path: dir } = stack.use(guardedDirectory('lkt-fleet-'));
  await mkdir(join(dir, 'power'));
  const fixture = {
    // A person who does at once what lkt asks for.
    open: async () =>
      openNetboot({
        dir,
        machines: MACHINES,
        warn: (text) => {
          const [, state = '', path = ''] = /echo (on|off) > (\S+)$/.exec(text) ?? [];
          writeFileSync(path, `${state}\n`);
        },
      }),
    image: await imageIn(dir, 'hello'),
    otherImage: await imageIn(dir, 'other'),
    template: TEMPLATE,
    impossible: { name: '../escape' },
    powerOff: async ({ name }: { readonly name: string }) =>
      writeFile(join(dir, 'power', name), 'off\n'),
  };
  const owned = stack.move();
  return { ...fixture, [Symbol.asyncDispose]: async () => owned.disposeAsync() };
});

describe('a machine that a person switches', () => {
  const asked: string[] = [];
  const options = { generation: 1, signal: new AbortController().signal };
  beforeEach(() => {
    asked.length = 0;
  });
  test('is asked for once, is pending until it is on, and is listed until it is off', async () => {
    await using dir = guardedDirectory('lkt-fleet-');
    const warn = (text: string): void => void asked.push(text);
    await using provider = openNetboot({ dir: dir.path, machines: MACHINES, warn });
    const file = join(dir.path, 'power', 'rack-0');
    const image = await provider.prepare(await imageIn(dir.path, 'hello'), options);
    await provider.create(request(image), options);
    await provider.create(request(image), options);
    expect(asked).toEqual([
      `rack-0 (52:54:00:12:34:00): let it boot from the network: switch it on, and then: echo on > ${file}`,
    ]);
    expect(await provider.list('shop', options)).toMatchObject([{ power: 'pending' }]);
    await mkdir(dirname(file));
    await writeFile(file, 'on\n');
    expect(await provider.list('shop', options)).toMatchObject([{ power: 'running' }]);
    const destroy = async (): Promise<void> =>
      provider.destroy('rack-0', { ...options, graceMs: 0 });
    await destroy();
    await destroy();
    expect(asked.slice(1)).toEqual([
      `rack-0 (52:54:00:12:34:00): switch it off, and then: echo off > ${file}`,
    ]);
    expect(await provider.list('shop', options)).toMatchObject([{ power: 'terminating' }]);
    await writeFile(file, 'off\n');
    await destroy();
    expect(await provider.list('shop', options)).toEqual([]);
  });

  test('gets no node while it is still on', async () => {
    await using dir = guardedDirectory('lkt-fleet-');
    const warn = (text: string): void => void asked.push(text);
    await using provider = openNetboot({ dir: dir.path, machines: MACHINES, warn });
    const image = await provider.prepare(await imageIn(dir.path, 'hello'), options);
    await mkdir(join(dir.path, 'power'));
    await writeFile(join(dir.path, 'power', 'rack-0'), 'on\n');
    await expect(provider.create(request(image), options)).rejects.toMatchObject({
      failure: 'unavailable',
      message: 'the machine rack-0 is still on',
    });
    expect(asked).toHaveLength(1);
    expect(await provider.list('shop', options)).toEqual([]);
    await writeFile(join(dir.path, 'power', 'rack-0'), 'yes\n');
    await expect(provider.create(request(image), options)).rejects.toMatchObject({
      failure: 'malformed',
    });
  });
});

test.for<[string, string, object]>([
  ['echo perhaps', 'malformed', { fix: 'make it print on or off' }],
  ['echo "no relay" >&2; exit 3', 'unavailable', {}],
])('reports a program that does "%s"', async ([line, failure, more]) => {
  await using dir = guardedDirectory('lkt-fleet-');
  const program = join(dir.path, 'switch');
  await writeFile(program, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  const options = { generation: 1, signal: new AbortController().signal };
  const settings = { dir: dir.path, machines: MACHINES, warn: () => undefined };
  await using provider = openNetboot({ ...settings, command: [program] });
  const image = await provider.prepare(await imageIn(dir.path, 'hello'), options);
  await expect(provider.create(request(image), options)).rejects.toMatchObject({
    failure,
    ...more,
  });
});

test('reports a program that is missing', async () => {
  await using dir = guardedDirectory('lkt-fleet-');
  const settings = { dir: dir.path, machines: MACHINES, warn: () => undefined };
  await using provider = openNetboot({ ...settings, command: [join(dir.path, 'none')] });
  const options = { generation: 1, signal: new AbortController().signal };
  const image = await provider.prepare(await imageIn(dir.path, 'hello'), options);
  await expect(provider.create(request(image), options)).rejects.toMatchObject({
    failure: 'invalid',
    message: `cannot run ${join(dir.path, 'none')}`,
  });
});

test('refuses an empty command in fleet.yml', () => {
  const text = 'command: []\nmachines: {a: {mac: "52:54:00:12:34:00"}}';
  expect(() => NETBOOT_SETTINGS.read(parseYaml({ path: 'fleet.yml', text }))).toThrow(/empty/);
});
