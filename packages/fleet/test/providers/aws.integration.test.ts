import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '@lkt/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXAMPLE_LABELS } from '../example-labels.ts';
import { formatLabels } from '../../src/node-labels.ts';
import { AwsProvider } from '../../src/providers/aws/provider.ts';
import type { MachineImage, NodeRequest } from '../../src/provider.ts';
import { awsRights } from './documented-rights.ts';
import { describeProvider } from '../provider-conformance.ts';
import { type AwsRequest, errorXml, type Moto, startMoto } from './moto.ts';

process.env['AWS_ACCESS_KEY_ID'] = 'AKIATEST';
process.env['AWS_SECRET_ACCESS_KEY'] = 'secret-of-the-controller';
// Nothing of the user's own configuration is used.
process.env['AWS_CONFIG_FILE'] = '/dev/null';
process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null';

const REGION = 'eu-central-1';
const TEMPLATE = { cpus: 1, memory: 512, publish: [8080], volumes: [] };
const GROUP = { instanceType: 't3.micro', securityGroups: [], publicAddress: false };

describeProvider('aws', async () => {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-')));
  const moto = stack.use(await startMoto());
  const image = async (text: string): Promise<MachineImage> => {
    const path = join(dir.path, `${text}.img`);
    await writeFile(path, Buffer.alloc(1024 * 1024, text));
    return {
      digest: digestOf(text),
      files: { path, kind: 'disk', format: 'raw', firmware: 'efi' },
    };
  };
  const fixture = {
    open: async () => new AwsProvider({ region: REGION, endpoint: moto.endpoint }),
    image: await image('one'),
    otherImage: await image('two'),
    template: TEMPLATE,
    settings: GROUP,
    impossible: { settings: { ...GROUP, instanceType: 'nonsense.large' } },
    loseAnswers: (count: number) => moto.loseAnswers('RunInstances', count),
    failLists: (count: number) =>
      moto.answer(
        'DescribeInstances',
        Array.from({ length: count }, () => ({
          status: 503,
          body: errorXml('RequestLimitExceeded'),
        })),
      ),
  };
  const owned = stack.move();
  return { ...fixture, [Symbol.asyncDispose]: async () => owned.disposeAsync() };
});

describe('aws requests', () => {
  let moto: Moto;
  let provider: AwsProvider;
  beforeAll(async () => {
    moto = await startMoto();
    provider = new AwsProvider({ region: REGION, endpoint: moto.endpoint });
  });
  afterAll(async () => {
    await provider[Symbol.asyncDispose]();
    await moto[Symbol.asyncDispose]();
    const rights = awsRights('aws.json');
    expect(moto.requests.map(rightOf).filter((right) => !rights.has(right))).toEqual([]);
  });
  const options = { generation: 1, signal: AbortSignal.timeout(120_000) };
  const of = (action: string): readonly AwsRequest[] =>
    moto.requests.filter(({ parameters }) => parameters['Action'] === action);

  test('uploads the blocks that are not zero, and registers an image for UEFI with a TPM', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
    const path = join(dir.path, 'disk.img');
    const bytes = Buffer.alloc(3 * 524_288 + 512);
    bytes.fill('first', 0, 524_288);
    bytes.fill('last', 3 * 524_288);
    await writeFile(path, bytes);
    const digest = digestOf('disk');
    const disk = { path, kind: 'disk', format: 'raw', firmware: 'efi' } as const;
    const files = { kernel: '/kernel', cmdline: '' };
    const id = await provider.prepare({ digest, files, disk }, options);
    expect(id).toMatch(/^ami-[0-9a-f]+$/);
    const blocks = moto.requests.filter(({ path: url }) => /\/blocks\//.test(url));
    expect(blocks.map(({ path: url }) => /blocks\/(\d+)/.exec(url)?.[1])).toEqual(['0', '3']);
    for (const { body, headers } of blocks) {
      expect(body).toHaveLength(524_288);
      const sum = createHash('sha256').update(body).digest('base64');
      expect(headers['x-amz-checksum']).toBe(sum);
    }
    const [complete] = moto.requests.filter(({ path: url }) => /completion/.test(url));
    expect(complete?.headers['x-amz-changedblockscount']).toBe('2');
    const [register] = of('RegisterImage');
    expect(register?.parameters).toMatchObject({
      Name: `lkt-${digest.slice('sha256:'.length)}`,
      Architecture: 'x86_64',
      BootMode: 'uefi',
      TpmSupport: 'v2.0',
      ImdsSupport: 'v2.0',
      'BlockDeviceMapping.1.Ebs.SnapshotId': expect.stringMatching(/^snap-/) as unknown,
      'TagSpecification.1.Tag.1.Value': digest,
    });
  });

  test('uses the snapshot of a controller that ended before it registered the image', async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-fleet-'));
    const image = await diskImage(dir.path, 'interrupted');
    moto.answer('RegisterImage', [{ status: 503, body: errorXml('Unavailable') }]);
    await expect(provider.prepare(image, options)).rejects.toMatchObject({
      failure: 'unavailable',
    });
    const count = moto.requests.filter(({ path: url }) => url === '/snapshots').length;
    expect(await provider.prepare(image, options)).toMatch(/^ami-/);
    expect(moto.requests.filter(({ path: url }) => url === '/snapshots')).toHaveLength(count);
  });

  test('starts an instance with protected metadata and without rights, and puts no secret anywhere', async () => {
    const metadata = Buffer.from('{"password":"hunter2"}');
    const settings = {
      ...GROUP,
      subnet: 'subnet-0123456789abcdef0',
      securityGroups: ['sg-0123456789abcdef0'],
      publicAddress: true,
    };
    moto.answer('RunInstances', [{ status: 400, body: errorXml('InsufficientInstanceCapacity') }]);
    await expect(
      provider.create({ ...request('web-0'), metadata, settings }, options),
    ).rejects.toMatchObject({ failure: 'capacity' });
    const parameters = of('RunInstances').at(-1)?.parameters ?? {};
    expect(parameters).toMatchObject({
      MinCount: '1',
      MaxCount: '1',
      InstanceType: 't3.micro',
      'MetadataOptions.HttpTokens': 'required',
      'MetadataOptions.HttpPutResponseHopLimit': '1',
      InstanceInitiatedShutdownBehavior: 'stop',
      'NetworkInterface.1.SubnetId': 'subnet-0123456789abcdef0',
      'NetworkInterface.1.SecurityGroupId.1': 'sg-0123456789abcdef0',
      'NetworkInterface.1.AssociatePublicIpAddress': 'true',
      UserData: metadata.toString('base64'),
    });
    expect(Object.keys(parameters).filter((key) => key.startsWith('IamInstanceProfile'))).toEqual(
      [],
    );
    const { UserData: _, ...others } = parameters;
    expect(JSON.stringify(others)).not.toContain('hunter2');
    const everything = moto.requests.map(({ path, headers, body }) =>
      [path, JSON.stringify(headers), body.toString('latin1')].join(' '),
    );
    expect(everything.join(' ')).not.toContain('secret-of-the-controller');
  });

  test('uses another client token after an instance of the same name was terminated', async () => {
    await provider.create(request('web-1'), options);
    const [node] = await provider.list('shop', options);
    await provider.create(request('web-1'), options);
    expect(of('RunInstances').filter(({ parameters }) => isFor('web-1', parameters))).toHaveLength(
      1,
    );
    await provider.destroy(node?.id ?? '', { ...options, graceMs: 0 });
    await provider.create(request('web-1'), options);
    const tokens = of('RunInstances')
      .filter(({ parameters }) => isFor('web-1', parameters))
      .map(({ parameters }) => parameters['ClientToken']);
    expect(new Set(tokens).size).toBe(2);
    expect(of('TerminateInstances').at(-1)?.parameters['SkipOsShutdown']).toBe('true');
  });

  test('finds the node that another controller created with other labels at the same time', async () => {
    const { labels } = request('web-2');
    // Both saw no instance; the second has to look again.
    await provider.create(request('web-2'), options);
    moto.answer('DescribeInstances', [instances('')]);
    const other = { ...request('web-2'), labels: { ...labels, created: labels.created + 1 } };
    await provider.create(other, options);
    const nodes = await provider.list('shop', options);
    expect(nodes.filter(({ name }) => name === 'web-2')).toHaveLength(1);
  });

  test('lists the nodes of all pages, without those that ended', async () => {
    moto.answer('DescribeInstances', [
      instances(instance('i-0123456789abcdef0', 'running', tags('web-3')), 'more'),
      instances(
        instance('i-0123456789abcdef1', 'terminated', tags('web-4')) +
          instance('i-0123456789abcdef2', 'shutting-down', tags('web-5')),
      ),
    ]);
    const nodes = await provider.list('shop', options);
    expect(nodes.map(({ name, power }) => [name, power])).toEqual([
      ['web-3', 'running'],
      ['web-5', 'terminating'],
    ]);
    expect(of('DescribeInstances').at(-1)?.parameters['NextToken']).toBe('more');
  });

  test.each<[string, string]>([
    ['a page that is no XML', '<html><body>gateway</body>'],
    ['an instance without an id', instance('', 'running', {})],
    ['an instance of another form', instance('i-0123456789abcdef0; rm', 'running', tags('web-3'))],
    ['an unknown state', instance('i-0123456789abcdef0', 'dancing', tags('web-3'))],
    [
      'damaged labels',
      instance('i-0123456789abcdef0', 'running', { ...tags('web-3'), 'lkt.spec': 'x' }),
    ],
    ['a name with a path', instance('i-0123456789abcdef0', 'running', tags('../web-3'))],
    ['33 MiB', ' '.repeat(33 * 2 ** 20)],
  ])('lists no node at all after %s', async (_, xml) => {
    const whole = xml.startsWith('<html>') ? { status: 200, body: xml } : instances(xml);
    moto.answer('DescribeInstances', [whole]);
    await expect(provider.list('shop', options)).rejects.toMatchObject({ failure: 'malformed' });
  });

  test('rejects an endless list of pages', async () => {
    moto.answer(
      'DescribeInstances',
      Array.from({ length: 1000 }, () => instances('', 'again')),
    );
    await expect(provider.list('shop', options)).rejects.toMatchObject({ failure: 'malformed' });
    moto.answer('DescribeInstances', []);
  });

  test.each([
    ['InsufficientInstanceCapacity', 500, 'capacity'],
    ['InstanceLimitExceeded', 400, 'capacity'],
    ['VcpuLimitExceeded', 400, 'capacity'],
    ['InsufficientFreeAddressesInSubnet', 400, 'capacity'],
    ['RequestLimitExceeded', 503, 'throttled'],
    ['UnauthorizedOperation', 403, 'denied'],
    ['AuthFailure', 401, 'denied'],
    ['InvalidAMIID.NotFound', 400, 'invalid'],
    ['InvalidParameterValue', 400, 'invalid'],
    ['SomethingNew', 400, 'invalid'],
    ['InternalError', 500, 'unavailable'],
    ['Unavailable', 503, 'unavailable'],
  ])('classifies %s with status %i as %s', async (code, status, failure) => {
    moto.answer('RunInstances', [{ status, body: errorXml(code) }]);
    const created = provider.create(request('web-6'), options);
    await expect(created).rejects.toMatchObject({
      failure,
      message: `aws: RunInstances: ${code}: ${code} of the test`,
    });
  });

  test('reports a server that is away', async () => {
    await using away = new AwsProvider({ region: REGION, endpoint: 'http://127.0.0.1:1' });
    await expect(away.list('shop', options)).rejects.toMatchObject({ failure: 'unavailable' });
  });

  test.each<[string, Partial<NodeRequest>, string]>([
    ['metadata that is too long', { metadata: Buffer.alloc(16_385) }, 'exceeds the 16384 of EC2'],
    [
      'volumes',
      { template: { ...TEMPLATE, volumes: [{ name: 'shop.web.0.data', size: 1 }] } },
      'nodes cannot have volumes yet',
    ],
    ['a group without settings', { settings: undefined }, 'has no settings for aws'],
    ['an invalid name', { name: 'Web' }, 'is not a valid node name'],
  ])('refuses %s without a call', async (_, changes, message) => {
    const count = moto.requests.length;
    const created = provider.create({ ...request('web-7'), ...changes }, options);
    await expect(created).rejects.toThrow(message);
    expect(moto.requests).toHaveLength(count);
  });

  test('refuses an image that is no disk', async () => {
    const files = { kernel: '/kernel', initrd: '/initrd', cmdline: '' };
    const prepared = provider.prepare({ digest: digestOf('kernel'), files }, options);
    await expect(prepared).rejects.toMatchObject({
      failure: 'invalid',
      fix: expect.stringContaining('lkt fleet image --disk') as unknown,
    });
  });
});

test('documents the rights of every call, and no others', () => {
  const root = join(import.meta.dirname, '../..');
  const source = ['images.ts', 'provider.ts', 'machine-image.ts']
    .map((name) => readFileSync(join(root, 'src/providers/aws', name), 'utf8'))
    .join('');
  const calls = [...source.matchAll(/new (\w+)Command\(/g)].map(([, name = '']) =>
    /^(?:StartSnapshot|PutSnapshotBlock|CompleteSnapshot)$/.test(name)
      ? `ebs:${name}`
      : `ec2:${name}`,
  );
  expect(awsRights('aws.json')).toEqual(new Set(calls));
});

/** Returns the action of AWS that a request needs. */
function rightOf({ path, parameters }: AwsRequest): string {
  if (parameters['Action'] !== undefined) return `ec2:${parameters['Action']}`;
  if (path.startsWith('/snapshots/completion/')) return 'ebs:CompleteSnapshot';
  return path.includes('/blocks/') ? 'ebs:PutSnapshotBlock' : 'ebs:StartSnapshot';
}

function isFor(name: string, parameters: Readonly<Record<string, string>>): boolean {
  return parameters['TagSpecification.1.Tag.2.Value'] === name;
}

function request(name: string): NodeRequest {
  return {
    name,
    image: 'ami-0123456789abcdef0',
    labels: EXAMPLE_LABELS,
    template: TEMPLATE,
    metadata: undefined,
    settings: GROUP,
  };
}

async function diskImage(dir: string, text: string): Promise<MachineImage> {
  const path = join(dir, `${text}.img`);
  await writeFile(path, Buffer.alloc(1024 * 1024, text));
  return { digest: digestOf(text), files: { path, kind: 'disk', format: 'raw', firmware: 'efi' } };
}

/** Returns an answer of DescribeInstances. */
function instances(xml: string, token: string = ''): { status: number; body: string } {
  const next = token === '' ? '' : `<nextToken>${token}</nextToken>`;
  const name = 'DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"';
  const body = `<${name}><reservationSet>${xml}</reservationSet>${next}</DescribeInstancesResponse>`;
  return { status: 200, body };
}

function instance(id: string, state: string, given: Readonly<Record<string, string>>): string {
  const items = Object.entries(given).map(
    ([key, value]) => `<item><key>${key}</key><value>${value}</value></item>`,
  );
  const power = `<instanceState><code>16</code><name>${state}</name></instanceState>`;
  const parts = `<instanceId>${id}</instanceId>${power}<tagSet>${items.join('')}</tagSet>`;
  return `<item><instancesSet><item>${parts}</item></instancesSet></item>`;
}

function tags(name: string): Readonly<Record<string, string>> {
  return { 'lkt.name': name, ...formatLabels(request(name).labels) };
}
