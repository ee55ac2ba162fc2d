import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RestClient } from '../../src/rest/rest-client.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly location?: string;
}

let answer: Answer;
let asked: string[];
let servers: Server[];
let client: RestClient;

async function serve(name: string): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    asked.push(`${name} ${incoming.headers.authorization ?? ''}`);
    const { status, body, location } = answer;
    outgoing.writeHead(status, location === undefined ? {} : { location }).end(body);
  });
  server.listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeEach(() => {
  [asked, servers] = [[], []];
  client = new RestClient({
    name: 'cloud',
    variables: {},
    authorize: async () => ({ authorization: 'secret' }),
    rightsFix: 'add the right',
  });
});

afterEach(async () => {
  await client[Symbol.asyncDispose]();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

test.for<[string, Answer, string, RegExp]>([
  [
    'a page',
    { status: 200, body: '<html>' },
    'malformed',
    /^cloud: list: the response is not JSON$/,
  ],
  [
    'a list',
    { status: 200, body: '[]' },
    'malformed',
    /^cloud: list: the response is not an object$/,
  ],
  [
    'a text',
    { status: 200, body: '"x"' },
    'malformed',
    /^cloud: list: the response is not an object$/,
  ],
  [
    'the page of a proxy',
    { status: 502, body: '<html>' },
    'unavailable',
    /^cloud: list: status 502$/,
  ],
  ['too many calls', { status: 429, body: '' }, 'throttled', /^cloud: list: status 429$/],
  ['a missing right', { status: 403, body: '{}' }, 'denied', /^cloud: list: status 403$/],
  ['33 MiB', { status: 200, body: ' '.repeat(33 * 2 ** 20) }, 'unavailable', /^cloud: list: /],
])('rejects %s', async ([, given, failure, message]) => {
  answer = given;
  const url = await serve('own');
  const { signal } = new AbortController();
  await expect(client.call('list', url, { signal })).rejects.toMatchObject({
    failure,
    message: expect.stringMatching(message),
  });
});

test('follows no redirect, which would send credentials to another host', async () => {
  const other = await serve('other');
  answer = { status: 302, body: '', location: other };
  const url = await serve('own');
  const { signal } = new AbortController();
  await expect(client.call('list', url, { signal })).rejects.toMatchObject({
    failure: 'malformed',
    message: 'cloud: list: status 302',
  });
  expect(asked).toEqual(['own secret']);
});
