import { generateKeyPairSync } from 'node:crypto';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { digestOf } from '@lkt/core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AsgEngine } from '../../src/providers/asg/engine.ts';
import { TemplateVersions } from '../../src/providers/asg/template-versions.ts';
import { clientOptions } from '../../src/providers/aws/client.ts';
import { AwsImages } from '../../src/providers/aws/images.ts';
import { AwsProvider } from '../../src/providers/aws/provider.ts';
import { AzureEngine } from '../../src/providers/azure/engine.ts';
import { GcpEngine } from '../../src/providers/gcp/engine.ts';
import { AZURE_VARIABLES } from './azure-cloud.ts';
import { AZURE_SETTINGS } from './azure-server.ts';

const options = { signal: new AbortController().signal };
const image = { id: 'ami-0123456789abcdef0', digest: digestOf('one'), created: 0 };
const version = { ...image, id: 'lkt.shop.web:1' };

let endpoint: string;
/** Lists in XML, by action; others are missing. */
let lists: Readonly<Record<string, string>>;
let stack: AsyncDisposableStack;

/** Gives tokens, and answers every call by a response without what was asked for. */
beforeEach(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = 'test';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'test';
  lists = {};
  stack = new AsyncDisposableStack();
  const server = createServer();
  server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
    const [, action] = /(?:^|&)Action=(\w+)/.exec(await text(request)) ?? [];
    const list = lists[action ?? ''] ?? '';
    const xml = `<${action}Response>${list}<${action}Result>${list}</${action}Result></${action}Response>`;
    const isToken = request.url?.endsWith('/token') === true;
    const json = isToken ? { access_token: 't', expires_in: 3600, token_type: 'Bearer' } : {};
    response.end(action === undefined ? JSON.stringify(json) : xml);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  stack.defer(() => {
    server.close();
    server.closeAllConnections();
  });
});

afterEach(async () => stack.disposeAsync());

const malformed = (what: string): object => ({
  failure: 'malformed',
  message: `${what}: the response has no list`,
});

test.each([
  ['DescribeInstances', {}],
  ['DescribeInstances', { DescribeInstances: '<reservationSet><item/></reservationSet>' }],
])('takes a response of %s without a list for no list of nodes', async (call, given) => {
  lists = given;
  const aws = stack.use(new AwsProvider({ region: 'eu-central-1', endpoint }));
  await expect(aws.list('shop', options)).rejects.toMatchObject(malformed(`aws: ${call}`));
});

test('lists no nodes if the list of AWS is empty', async () => {
  lists = { DescribeInstances: '<reservationSet/>' };
  const aws = stack.use(new AwsProvider({ region: 'eu-central-1', endpoint }));
  expect(await aws.list('shop', options)).toEqual([]);
});

test('takes a response of Auto Scaling without a list for no list of groups', async () => {
  const asg = stack.use(new AsgEngine({ region: 'eu-central-1', endpoint }));
  await expect(asg.list('shop', options)).rejects.toMatchObject(
    malformed('aws: DescribeAutoScalingGroups'),
  );
  lists = { DescribeAutoScalingGroups: '<AutoScalingGroups/>' };
  expect(await asg.list('shop', options)).toEqual([]);
});

const fails = async (call: string, result: Promise<unknown>): Promise<void> =>
  expect(result).rejects.toMatchObject(malformed(`aws: ${call}`));

test('calls no image of AWS unused by a response without a list', async () => {
  const settings = clientOptions({ region: 'eu-central-1', endpoint });
  const ec2 = new EC2Client(settings);
  const scaling = new AutoScalingClient(settings);
  const images = new AwsImages(ec2);
  const versions = new TemplateVersions(ec2, scaling);
  await fails('DescribeImages', images.list(options));
  await fails('DescribeInstances', images.isUsed(image, options));
  await fails('DescribeLaunchTemplates', versions.list(options));
  await fails('DescribeAutoScalingGroups', versions.isUsed(version, options));
  lists = { DescribeImages: '<imagesSet/>', DescribeInstances: '<reservationSet/>' };
  await fails('DescribeSnapshots', images.list(options));
  await fails('DescribeLaunchTemplateVersions', images.isUsed(image, options));
});

test('takes a response of Azure without a list for no list of groups', async () => {
  const azure = stack.use(new AzureEngine({ ...AZURE_SETTINGS, endpoint }, AZURE_VARIABLES));
  await expect(azure.list('shop', options)).rejects.toMatchObject({
    failure: 'malformed',
    message: expect.stringMatching(/^azure: \S+: the response has no list$/),
  });
});

test('takes a response of Google without a list for no list of groups', async () => {
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-gcp-')));
  const credentialsFile = join(dir.path, 'key.json');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = {
    type: 'service_account',
    client_email: 'lkt@shop-1234.iam.gserviceaccount.com',
    private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  await writeFile(credentialsFile, JSON.stringify(key), { mode: 0o600 });
  const gcp = stack.use(
    new GcpEngine(
      { project: 'shop-1234', location: { zone: 'europe-west3-a' }, bucket: 'images', endpoint },
      { credentialsFile, variables: {} },
    ),
  );
  await expect(gcp.list('shop', options)).rejects.toMatchObject(
    malformed('gcp: instanceGroupManagers.list'),
  );
});
