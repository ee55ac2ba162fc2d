import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseYaml } from '@lkt/core';
import { expect, test } from 'vitest';
import { macOf, parseNeighbours } from '../src/providers/qemu/bridge.ts';
import { qemuProblem } from '../src/providers/qemu/group-problem.ts';
import { qemu } from '../src/providers/qemu/kind.ts';
import { QemuProvider } from '../src/providers/qemu/provider.ts';
import { QEMU_GROUP_SETTINGS, QEMU_SETTINGS } from '../src/providers/qemu/settings.ts';
import { EXAMPLE_LABELS } from './example-labels.ts';

test.each(['nodes', 'nodes/below'])(
  'rejects the state directory %s, which is a file or below one',
  async (state) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-qemu-'));
    writeFileSync(join(dir.path, 'nodes'), '');
    const context = {
      dir: dir.path,
      stateDir: dir.path,
      variables: {},
      signal: AbortSignal.timeout(60_000),
      warn: () => undefined,
    };
    await expect(qemu.open({ state, accelerator: 'tcg' }, context)).rejects.toMatchObject({
      message: `${join(dir.path, state)} is not a directory`,
      fix: expect.stringContaining('state: DIRECTORY'),
    });
  },
);

test.each([
  [QEMU_SETTINGS, 'bridge: a,script=/bin/sh', /is not the name of a bridge/],
  [QEMU_GROUP_SETTINGS, 'mac: 53:54:00:00:00:10', /is not a local hardware address/],
  [QEMU_GROUP_SETTINGS, 'ports: { http: 8080 }', /"http" is not a port of the guest/],
])('gives an error with a fix', (type, text, message) => {
  const read = (): unknown => type.read(parseYaml({ path: 'fleet.yml', text }));
  expect(read).toThrow(message);
  expect(read).toThrow(expect.objectContaining({ fix: expect.stringMatching(/^write /) }));
});

test('assigns each slot the next hardware address, and others one derived from their name', () => {
  const node = { fleet: 'shop', name: 'web-2', slot: 2 };
  expect(macOf(node, '52:54:00:00:00:fe')).toBe('52:54:00:00:01:00');
  expect(macOf(node, undefined)).toMatch(/^52:54:00(?::[0-9a-f]{2}){3}$/);
  expect(macOf(node, undefined)).not.toBe(macOf({ ...node, name: 'web-1' }, undefined));
});

test('finds the address of a neighbour on the bridge that has answered', () => {
  const list = `IP address       HW type     Flags       HW address            Mask     Device
10.77.0.10       0x1         0x2         52:54:00:77:00:10     *        lkt0
10.77.0.11       0x1         0x0         00:00:00:00:00:00     *        lkt0
10.99.0.12       0x1         0x2         52:54:00:77:00:12     *        eth0
`;
  expect([...parseNeighbours(list, 'lkt0')]).toEqual([['52:54:00:77:00:10', '10.77.0.10']]);
});

test.each<[string | undefined, string, number, string]>([
  [undefined, 'ports: { 80: 8080 }', 0, 'the names of the nodes are not fixed, so ports cannot be'],
  ['lkt0', 'mac: 52:54:00:77:00:10', 0, 'the names of the nodes are not fixed, so mac cannot be'],
  [undefined, 'ports: { 443: 8080 }', 1, 'port 443 of the guest is not published'],
  [undefined, 'ports: { 80: 65534 }', 3, '3 nodes need ports up to 65536'],
  [
    undefined,
    'ports: { 80: 8080, 81: 8082 }',
    3,
    'the ports 80 and 81 of two nodes would both get port 8082',
  ],
  [undefined, 'ports: { 80: 8080, 81: 8083 }', 3, ''],
])(
  'rejects ports and addresses that nodes cannot have: %s %s %i',
  (bridge, text, slots, message) => {
    const settings = QEMU_GROUP_SETTINGS.read(parseYaml({ path: 'fleet.yml', text }));
    const machines = { cpus: 1, memory: 4, publish: [80, 81], settings };
    const problem = qemuProblem({ ...machines, size: slots, hasSlots: slots > 0 }, bridge);
    expect(problem?.message ?? '').toBe(message);
    expect(problem?.fix ?? '').toMatch(message === '' ? /^$/ : /./);
  },
);

test.each([
  [undefined, { mac: '52:54:00:77:00:10' }, 'mac needs a bridge'],
  ['lkt0', { ports: new Map([[80, 8080]]) }, 'nodes on a bridge publish no ports of this machine'],
])(
  'creates no node whose settings contradict those of its provider',
  async (bridge, settings, message) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-qemu-'));
    const own = bridge === undefined ? {} : { bridge };
    await using provider = new QemuProvider({ dir: dir.path, accelerator: 'tcg', ...own });
    const options = { generation: 1, signal: AbortSignal.timeout(60_000) };
    const files = { kernel: join(dir.path, 'k'), cmdline: '' };
    writeFileSync(files.kernel, '');
    const image = await provider.prepare({ digest: EXAMPLE_LABELS.image, files }, options);
    const request = {
      name: 'web-0',
      image,
      labels: { ...EXAMPLE_LABELS, slot: 0 },
      template: { cpus: 1, memory: 4, publish: [80], volumes: [] },
      metadata: undefined,
      settings,
    };
    await expect(provider.create(request, options)).rejects.toMatchObject({
      message,
      fix: expect.stringContaining('remove'),
    });
    expect(await provider.list(EXAMPLE_LABELS.fleet, options)).toEqual([]);
  },
);
