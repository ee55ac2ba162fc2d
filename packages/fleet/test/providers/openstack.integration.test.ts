import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Digest, digestOf } from '@lkt/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MachineImage, NodeRequest, Provider } from '../../src/provider.ts';
import { openOpenStack } from '../../src/providers/openstack/open.ts';
import { EXAMPLE_LABELS } from '../example-labels.ts';
import { describeProvider } from '../provider-conformance.ts';
import { openStackRules } from './documented-rights.ts';
import { type OpenStackServer, startOpenStackServer } from './openstack-server.ts';

// A cloud of OpenStack has not been met: the server rejects what OpenStack documents as invalid.
const NETWORK = '01234567-89ab-cdef-0123-456789abcdef';
const SETTINGS = { flavor: 'small', network: NETWORK, securityGroups: ['default'] };
const VARIABLES = {
  OS_APPLICATION_CREDENTIAL_ID: 'credential-1',
  OS_APPLICATION_CREDENTIAL_SECRET: 'secret-1',
};
const TEMPLATE = { cpus: 1, memory: 512, publish: [80], volumes: [] };

async function open(
  server: OpenStackServer,
  variables: Readonly<Record<string, string>> = VARIABLES,
): Promise<Provider> {
  const authUrl = `${server.endpoint}/v3`;
  return openOpenStack({ authUrl, region: 'one', interface: 'public', variables });
}

function imageOf(path: string, digest: Digest): MachineImage {
  const disk = { path, kind: 'disk', format: 'raw', firmware: 'efi' } as const;
  return { digest, files: { kernel: '', cmdline: '' }, disk };
}

describeProvider('openstack', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'lkt-openstack-'));
  await writeFile(join(dir, 'disk'), 'disk');
  const server = await startOpenStackServer();
  server.isStubborn = true;
  return {
    open: async () => open(server),
    image: imageOf(join(dir, 'disk'), digestOf('one')),
    otherImage: imageOf(join(dir, 'disk'), digestOf('two')),
    template: TEMPLATE,
    settings: SETTINGS,
    consoleText: 'lkt: boot complete',
    impossible: { settings: { ...SETTINGS, flavor: 'none' } },
    loseAnswers: () =>
      server.lose(({ method, path }) => method === 'POST' && path.endsWith('/servers')),
    // The second page.
    failLists: (count) =>
      server.fail(/GET .*\/servers\/detail/, { status: 500, json: { computeFault: {} } }, count),
    shown: async () => {
      const shown = [...server.servers.values()].map(({ userData, ...rest }) => {
        expect(Buffer.from(userData ?? '', 'base64').toString()).toContain('canary');
        return rest;
      });
      return JSON.stringify(shown);
    },
    powerOff: async ({ id }) => {
      const one = server.servers.get(id);
      if (one !== undefined) one.status = 'SHUTOFF';
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
      expect(server.problems).toEqual([]);
    },
  };
});

describe('openstack', () => {
  let dir: string;
  let server: OpenStackServer;
  let provider: Provider;
  let image: string;
  const options = { generation: 1, signal: new AbortController().signal };
  const digest = digestOf('one');

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lkt-openstack-'));
    await writeFile(join(dir, 'disk'), 'disk');
    server = await startOpenStackServer();
    provider = await open(server);
    image = await provider.prepare(imageOf(join(dir, 'disk'), digest), options);
  });
  afterEach(async () => {
    await provider[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await rm(dir, { recursive: true });
    expect(server.problems).toEqual([]);
  });

  const request = (change: Partial<NodeRequest> = {}): NodeRequest => ({
    name: 'web-0',
    image,
    labels: { ...EXAMPLE_LABELS, fleet: 'shop' },
    template: TEMPLATE,
    metadata: Buffer.from('{"hostname":{"content":"web"}}'),
    settings: SETTINGS,
    ...change,
  });
  const names = async (): Promise<readonly string[]> =>
    (await provider.list('shop', options)).map(({ name }) => name);

  test('documents the access rules of every call, and no others', () => {
    const rules = openStackRules().map(
      ({ service, method, path }) => `${service} ${method} ${path}`,
    );
    expect(rules.toSorted()).toEqual([
      'compute DELETE /v2.1/servers/*',
      'compute GET /v2.1/servers',
      'compute GET /v2.1/servers/*',
      'compute GET /v2.1/servers/detail',
      'compute POST /v2.1/servers',
      'compute POST /v2.1/servers/*/action',
      'compute PUT /v2.1/servers/*/metadata',
      'image DELETE /v2/images/*',
      'image GET /v2/images',
      'image GET /v2/images/*',
      'image POST /v2/images',
      'image PUT /v2/images/*/file',
    ]);
  });

  test('delivers metadata as user data on a config drive, and lists floating addresses first', async () => {
    await provider.create(request(), options);
    const [one] = server.servers.values();
    expect(Buffer.from(one?.userData ?? '', 'base64').toString()).toBe(
      '{"hostname":{"content":"web"}}',
    );
    expect(one?.hasConfigDrive).toBe(true);
    await provider.list('shop', options);
    const [node] = await provider.list('shop', options);
    expect(node).toMatchObject({ power: 'running', addresses: ['192.0.2.5', '10.0.0.5'] });
  });

  test('creates an image once, and does not use an image of another project', async () => {
    expect([...server.images.values()]).toMatchObject([
      { name: `lkt-${digest.slice(7)}`, hw_firmware_type: 'uefi', visibility: 'private' },
    ]);
    const stolen = { lkt_digest: digestOf('two'), visibility: 'private', status: 'active' };
    server.images.set('x', { ...stolen, id: NETWORK, owner: 'stranger' });
    const other = await provider.prepare(imageOf(join(dir, 'disk'), digestOf('two')), options);
    expect(server.images.get(other)).toMatchObject({ lkt_digest: digestOf('two') });
    expect(other).not.toBe(NETWORK);
  });

  test('leaves no image of an upload that failed', async () => {
    server.fail(/PUT .*\/file/, { status: 413, json: { error: { message: 'Quota exceeded' } } });
    await expect(
      provider.prepare(imageOf(join(dir, 'disk'), digestOf('two')), options),
    ).rejects.toMatchObject({ failure: 'capacity' });
    expect(server.images.size).toBe(1);
  });

  test('keeps one server when two controllers create it at once', async () => {
    await using other = await open(server);
    await Promise.all([provider.create(request(), options), other.create(request(), options)]);
    // Servers that are being deleted are shown for a while.
    await names();
    await names();
    expect(await names()).toEqual(['web-0']);
  });

  test.for<[string, string, string, string]>([
    ['a newer generation', '9', '2099-01-01T00:00:00Z', 'the other'],
    ['an older server', '1', '2000-01-01T00:00:00Z', 'the other'],
    ['a younger server', '1', '2099-01-01T00:00:00Z', 'its own'],
  ])(
    'keeps one of two servers of a name, if another controller has %s',
    async ([, generation, created, kept]) => {
      const id = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
      // Another controller creates it at the same moment.
      server.compete = (own) => {
        const metadata = { ...own.metadata, 'lkt.generation': generation };
        server.servers.set(id, { ...own, id, metadata, created });
      };
      await provider.create(request(), options);
      const [own = ''] = server.servers.keys();
      await names();
      await names();
      const left = (await provider.list('shop', options)).map((node) => node.id);
      expect(left).toEqual([kept === 'the other' ? id : own]);
    },
  );

  test('lists servers of one name, which a dead controller left, under distinct names', async () => {
    await provider.create(request(), options);
    const [own] = server.servers.values();
    if (own === undefined) throw new Error('no server');
    const id = 'ffffffff-ffff-4fff-8fff-ffffffffffff';
    server.servers.set(id, { ...own, id, created: '2099-01-01T00:00:00Z' });
    expect(await names()).toEqual(['web-0', 'web-0-ffffffff']);
    // A second create finds both, and needs no third.
    await provider.create(request(), options);
    expect(server.servers.size).toBe(2);
    await provider.destroy(own.id, { ...options, reason: 'excess', graceMs: 0 });
    // The one that leaves does not have the name any more.
    const nodes = await provider.list('shop', options);
    expect(nodes.find(({ name }) => name === 'web-0')).toMatchObject({ id });
  });

  test('reports that a quota is used up, and that a server never came up', async () => {
    const message = 'Quota exceeded for cores: Requested 1, but already used 10 of 10 cores';
    server.fail(/POST .*\/servers$/, { status: 403, json: { forbidden: { code: 403, message } } });
    await expect(provider.create(request(), options)).rejects.toMatchObject({
      failure: 'capacity',
      message: `openstack: create server: status 403: forbidden: ${message}`,
    });
    await provider.create(request(), options);
    const [one] = server.servers.values();
    if (one !== undefined) one.status = 'ERROR';
    expect(await provider.list('shop', options)).toMatchObject([{ power: 'stopped' }]);
  });

  test('stops the guest first, and deletes it once it is off or its time is over', async () => {
    await provider.create(request(), options);
    await names();
    const [node] = await provider.list('shop', options);
    if (node === undefined) throw new Error('no node');
    const destroy = async (graceMs: number): Promise<void> =>
      provider.destroy(node.id, { ...options, reason: 'excess', graceMs });
    const deletes = (): number =>
      server.requests.filter(({ method }) => method === 'DELETE').length;
    server.isStubborn = true;
    await destroy(600_000);
    await destroy(600_000);
    expect(await provider.list('shop', options)).toMatchObject([{ power: 'terminating' }]);
    expect(deletes()).toBe(0);
    // Labels do not make it forget.
    await provider.label(node.id, { ...node.labels, attempt: 2 }, options);
    expect(await provider.list('shop', options)).toMatchObject([{ power: 'terminating' }]);
    server.isStubborn = false;
    await names();
    await destroy(600_000);
    expect(deletes()).toBe(1);
  });

  test('gets another token when the cloud refuses one', async () => {
    server.expireTokens();
    expect(await names()).toEqual([]);
    expect(server.requests.filter(({ path }) => path === '/v3/auth/tokens')).toHaveLength(2);
  });

  test('sends no token without TLS', async () => {
    server.computeUrl = 'http://nova.example.com/v2.1';
    await using other = await open(server);
    await expect(other.list('shop', options)).rejects.toMatchObject({
      message: 'openstack: the public compute has no https URL',
    });
  });

  test('reports which credentials are missing or wrong, and keeps them out of messages', async () => {
    await expect(open(server, {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      fix: 'set OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET',
    });
    await using wrong = await open(server, {
      ...VARIABLES,
      OS_APPLICATION_CREDENTIAL_SECRET: 'hidden',
    });
    server.requests.length = 0;
    const error: unknown = await wrong.list('shop', options).catch((thrown: unknown) => thrown);
    // A second attempt could lock the credential.
    expect(server.requests).toHaveLength(1);
    expect(error).toMatchObject({ failure: 'denied' });
    expect(String(error)).not.toContain('hidden');
  });

  test('takes a response without a list for no list', async () => {
    server.fail(/GET .*\/servers\/detail/, { status: 200, json: {} });
    await expect(names()).rejects.toMatchObject({ failure: 'malformed' });
    server.fail(/GET .*\/images/, { status: 200, json: {} });
    const disk = imageOf(join(dir, 'disk'), digest);
    await expect(provider.prepare(disk, options)).rejects.toMatchObject({
      failure: 'malformed',
      message: 'openstack: a list of images without images',
    });
  });

  test('takes no page for the whole list if the next cannot be asked for', async () => {
    const json = { servers: [{}], servers_links: [{ rel: 'next', href: 'x' }] };
    server.fail(/GET .*\/servers\/detail/, { status: 200, json });
    await expect(names()).rejects.toMatchObject({
      failure: 'malformed',
      message: 'openstack: a page of servers ends without a valid id',
    });
  });

  test.for<[string, Readonly<Record<string, string>>, string]>([
    ['damaged', { 'lkt.fleet': 'shop' }, 'the metadata of .* is damaged'],
    ['empty', {}, ''],
  ])('ignores or rejects a server with metadata that is %s', async ([, metadata, message]) => {
    await provider.create(request(), options);
    const [one] = server.servers.values();
    if (one !== undefined) one.metadata = metadata;
    if (message === '') expect(await names()).toEqual([]);
    else
      await expect(names()).rejects.toMatchObject({
        failure: 'malformed',
        message: expect.stringMatching(message),
      });
  });
});
