import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { digestOf, LktError } from '@lkt/core';
import { findBootFiles } from '@lkt/machine';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { EXAMPLE_LABELS } from '../example-labels.ts';
import {
  type DomainOptions,
  domainXml,
  RECORD_URI,
} from '../../src/providers/libvirt/domain-xml.ts';
import { LibvirtProvider } from '../../src/providers/libvirt/provider.ts';
import type { LibvirtSettings } from '../../src/providers/libvirt/settings.ts';
import type { MachineImage, NodeRequest } from '../../src/provider.ts';
import { describeProvider } from '../provider-conformance.ts';
import { writeTinyImage } from '../../../machine/test/tiny-kernel.ts';
import { type Libvirtd, startLibvirtd } from './libvirtd.ts';

describeProvider('libvirt', async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-')));
  const libvirtd = stack.use(await startLibvirtd());
  const image = async (cmdline: string): Promise<MachineImage> => {
    const prefix = join(dir.path, cmdline);
    await writeTinyImage(prefix, cmdline);
    return { digest: digestOf(cmdline), files: await findBootFiles(prefix) };
  };
  const settings = settingsOf(libvirtd);
  const fixture = {
    open: async () => LibvirtProvider.open(settings, AbortSignal.timeout(60_000)),
    image: await image('hello'),
    otherImage: await image('other'),
    template: { cpus: 1, memory: 4, publish: [8080], volumes: [] },
    consoleText: 'hello',
    impossible: { name: '../escape' },
    loseAnswers: (count: number) => libvirtd.lose('create', count),
    failLists: (count: number) => libvirtd.lose('list', count),
    shown: async () => shownBy(libvirtd),
    powerOff: async ({ name }: { readonly name: string }) =>
      libvirtd.kill(`lkt.conformance.${name}`),
  };
  const owned = stack.move();
  return { ...fixture, [Symbol.asyncDispose]: async () => owned.disposeAsync() };
});

describe('libvirt host', () => {
  let libvirtd: Libvirtd;
  beforeAll(async () => {
    libvirtd = await startLibvirtd();
  });
  afterAll(async () => libvirtd[Symbol.asyncDispose]());
  const virsh = async (...command: readonly string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)('virsh', ['-q', '-c', libvirtd.uri, ...command]);
    return stdout;
  };
  const signal = AbortSignal.timeout(600_000);
  const open = async (changes: Partial<LibvirtSettings>): Promise<LibvirtProvider> =>
    LibvirtProvider.open({ ...settingsOf(libvirtd), ...changes }, signal);
  const domain: DomainOptions = {
    name: 'lkt.shop.web-1',
    uuid: '6f0f8a3e-0d4b-4a53-9c39-000000000001',
    record: '{"labels":{"a":"<&>"}}',
    cpus: 2,
    memory: 64,
    accelerator: 'tcg',
    kernel: '/images/a & b/kernel',
    initrd: '/images/initrd',
    cmdline: `console=ttyS0 name="<'&'>"`,
    console: '/images/console',
    pool: 'lkt',
    disks: [
      { volume: 'root', serial: 'root', isReadOnly: true },
      { volume: 'data', serial: 'disk0', isReadOnly: false },
    ],
    network: undefined,
    published: new Map([[80, { host: '127.0.0.1', port: 20_080 }]]),
  };

  test.each<[string, Partial<DomainOptions>]>([
    ['user-mode network', {}],
    ['network', { network: { network: 'default' } }],
    ['bridge and no initrd', { network: { bridge: 'br0' }, initrd: undefined }],
  ])('accepts the domain with %s, and keeps its texts', async (_, changes) => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
    const file = join(dir.path, 'domain.xml');
    await writeFile(file, domainXml({ ...domain, ...changes }));
    await virsh('define', '--validate', file);
    const kept = await virsh('dumpxml', domain.name);
    await virsh('undefine', domain.name);
    expect(kept).toContain(
      '<cmdline>console=ttyS0 name=&quot;&lt;&apos;&amp;&apos;&gt;&quot;</cmdline>',
    );
    expect(kept).toContain('<kernel>/images/a &amp; b/kernel</kernel>');
    expect(kept).toContain(`xmlns:lkt="${RECORD_URI}">{"labels":{"a":"&lt;&amp;&gt;"}}</lkt:node>`);
    expect(kept).toContain('<on_reboot>destroy</on_reboot>');
  });

  test('lists no node at all if the record of one is damaged', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
    const file = join(dir.path, 'domain.xml');
    await writeFile(file, domainXml({ ...domain, network: { network: 'default' } }));
    await virsh('define', file);
    await using provider = await open({});
    await expect(provider.list('shop', { signal })).rejects.toMatchObject({
      failure: 'malformed',
      message: 'libvirt lists web-1 without its record',
    });
    expect(await provider.list('another', { signal })).toEqual([]);
    await virsh('undefine', domain.name);
  });

  test.each<[string, Partial<LibvirtSettings>, Record<string, unknown>]>([
    [
      'a pool that does not exist',
      { pool: 'nope' },
      { failure: 'invalid', fix: expect.stringContaining('virsh pool-create-as') },
    ],
    [
      'a host without libvirtd',
      { uri: 'qemu:///session?socket=/nonexistent' },
      { failure: 'unavailable', fix: expect.stringContaining('virsh -c URI version') },
    ],
    [
      'a host that ssh cannot reach',
      { uri: 'qemu+ssh://127.0.0.1:1/system' },
      { failure: 'unavailable', message: expect.stringContaining('Connection refused') },
    ],
  ])('reports %s', async (_, changes, error) => {
    await expect(open(changes)).rejects.toMatchObject(error);
  });

  test('suggests how to install virsh', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    const error: unknown = await open({}).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(LktError);
    expect(error).toMatchObject({
      code: 'TOOL_MISSING',
      fix: 'run apt-get install --no-install-recommends libvirt-clients',
    });
  });

  test('refuses more nodes than the host may run, and an image that was not prepared', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
    const prefix = join(dir.path, 'tiny');
    await writeTinyImage(prefix, 'hello');
    await using provider = await open({ maxNodes: 1 });
    const options = { generation: 1, signal };
    const digest = digestOf('tiny');
    const image = await provider.prepare({ digest, files: await findBootFiles(prefix) }, options);
    const request = (name: string, prepared: string): NodeRequest => ({
      name,
      image: prepared,
      labels: { ...EXAMPLE_LABELS, image: digest },
      template: { cpus: 1, memory: 4, publish: [], volumes: [] },
      metadata: undefined,
      settings: undefined,
    });
    await expect(provider.create(request('web-0', 'feed'), options)).rejects.toMatchObject({
      failure: 'invalid',
      message: 'the image feed was not prepared',
    });
    await provider.create(request('web-0', image), options);
    await expect(provider.create(request('web-1', image), options)).rejects.toMatchObject({
      failure: 'capacity',
      fix: 'raise maxNodes of the provider',
    });
    for (const { id } of await provider.list('shop', { signal }))
      await provider.destroy(id, { ...options, graceMs: 0 });
    expect(await provider.list('shop', { signal })).toEqual([]);
    const left = await virsh('vol-list', 'lkt');
    expect(left).not.toContain('lkt-node.');
  });
});

/** Returns the domains with all that libvirt calls secret, and the names of volumes. */
async function shownBy({ uri }: Libvirtd): Promise<string> {
  const virsh = async (...command: readonly string[]): Promise<string> =>
    (await promisify(execFile)('virsh', ['-q', '-c', uri, ...command])).stdout;
  const names = (await virsh('list', '--all', '--name')).trim().split('\n');
  const domains = names.map(async (name) => virsh('dumpxml', '--security-info', name));
  return [...(await Promise.all(domains)), await virsh('vol-list', 'lkt')].join('\n');
}

function settingsOf({ uri }: Libvirtd): LibvirtSettings {
  return {
    uri,
    pool: 'lkt',
    address: '127.0.0.1',
    firstPort: 20_000,
    lastPort: 29_999,
    accelerator: 'tcg',
  };
}
