import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { MachineCheck } from '@lkt/image';
import type { PublishedPort } from '@lkt/machine';
import { ConsolePatterns } from '../../src/machines/console-patterns.ts';
import { checkHttp, checkTcp } from '../../src/machines/network-checks.ts';
import { junitReport } from '../../src/output/junit.ts';

const signal = new AbortController().signal;

async function served(server: Server): Promise<PublishedPort> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { address: '127.0.0.1', hostPort: port, guestPort: 80, protocol: 'tcp' };
}

async function tcp(
  answer: (socket: Socket) => void,
  check: { readonly send?: string; readonly matches: RegExp },
): Promise<string | undefined> {
  await using server = createServer((socket) => {
    socket.on('error', () => undefined);
    answer(socket);
  });
  return await checkTcp(await served(server), { kind: 'tcp', port: 80, ...check }, signal);
}

async function http(
  listener: RequestListener,
  check: Partial<Extract<MachineCheck, { kind: 'http' }>> = {},
): Promise<string | undefined> {
  await using server = createHttpServer(listener);
  const whole = { kind: 'http', port: 80, path: '/', status: 200, headers: new Map() } as const;
  return await checkHttp(await served(server), { ...whole, ...check }, signal);
}

const parts = (socket: Socket): void => {
  socket.write('SSH-');
  setTimeout(() => socket.end('2.0-x\r\n'), 50);
};

const echo = (socket: Socket): unknown => socket.pipe(socket);

const flood = (socket: Socket): void => {
  const more = (): void => {
    while (socket.writable && socket.write('x'.repeat(65_536)));
  };
  socket.on('drain', more);
  more();
};

const listener: RequestListener = ({ url, headers }, response) =>
  response.writeHead(418).end(`at ${url} for ${String(headers['x-who'])}`);

const body: RequestListener = (_, response) => response.end('no');

describe('a check of a connection', () => {
  test('passes when the answer matches, in any number of parts', async () => {
    expect(await tcp(parts, { matches: /^SSH-2/mu })).toBeUndefined();
    expect(await tcp(echo, { send: 'PING', matches: /^PING$/mu })).toBeUndefined();
  });

  test('fails with what the server sent, or why it sent nothing', async () => {
    expect(await tcp((socket) => socket.end('HTTP\u001b[2J'), { matches: /^SSH/mu })).toBe(
      'the server sent "HTTP"',
    );
    expect(await tcp((socket) => socket.end(), { matches: /./u })).toBe(
      'the connection was closed',
    );
    const server = createServer();
    const port = await served(server);
    await server[Symbol.asyncDispose]();
    expect(await checkTcp(port, { kind: 'tcp', port: 1, matches: /x/u }, signal)).toContain(
      'ECONNREFUSED',
    );
  });

  test('reads a bounded part of an endless answer', async () => {
    expect(await tcp(flood, { matches: /y/u })).toBe(`the server sent "${'x'.repeat(200)}"…`);
  });
});

describe('a check of a request', () => {
  test('passes by status and body, with its path and headers', async () => {
    const check = {
      path: '/a?b',
      status: 418,
      headers: new Map([['X-Who', 'me']]),
      matches: /^at \/a\?b for me$/mu,
    };
    expect(await http(listener, check)).toBeUndefined();
  });

  test('fails with the difference', async () => {
    expect(await http((_, response) => response.writeHead(302).end())).toBe(
      'the status is 302, not 200',
    );
    expect(await http(body, { matches: /yes/u })).toBe('the body does not match yes: "no"');
    expect(await http((request) => request.socket.destroy())).toContain('socket hang up');
  });
});

describe('ConsolePatterns', () => {
  test('finds lines from the start, over chunks', async () => {
    const [one, two, three] = [/^lkt: up$/u, /never/u, /^\S+ again/u];
    const patterns = new ConsolePatterns([one, two, three]);
    for (const chunk of ['lk', 't: u', 'p\r\nup ', 'again\n']) patterns.push(Buffer.from(chunk));
    expect(await patterns.match(one)).toBe('lkt: up');
    expect(await patterns.match(three)).toBe('up again');
    expect(await Promise.race([patterns.match(two), Promise.resolve('none')])).toBe('none');
  });

  test('keeps a bounded number of last lines', () => {
    const patterns = new ConsolePatterns([]);
    for (let line = 0; line < 100; line += 1) patterns.push(Buffer.from(`${line}\n\n`));
    patterns.push(Buffer.alloc(100_000, 'x'));
    expect(patterns.tail).toHaveLength(30);
    expect(patterns.tail.slice(-2)).toEqual(['99', 'x'.repeat(8192)]);
  });
});

test('a report in the form of JUnit is well-formed, whatever the machine wrote', () => {
  const report = junitReport('a"b', {
    seconds: 1.5,
    console: ['<&>]]>', 'bell \u0007 \ud800'],
    checks: [
      { name: 'boots', kind: 'boot', outcome: 'passed', seconds: 1 },
      { name: '<x>', kind: 'log', outcome: 'failed', seconds: 0.5, reason: 'a "b" & c' },
      { name: 'y', kind: 'log', outcome: 'skipped', seconds: 0, reason: 'the boot failed' },
    ],
  });
  expect(report).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" skipped="1" errors="0" time="1.5">
  <testsuite name="a&#34;b" tests="3" failures="1" skipped="1" errors="0" time="1.5">
    <testcase classname="a&#34;b" name="boots" time="1"/>
    <testcase classname="a&#34;b" name="&#60;x&#62;" time="0.5"><failure message="a &#34;b&#34; &#38; c"/></testcase>
    <testcase classname="a&#34;b" name="y" time="0"><skipped message="the boot failed"/></testcase>
    <system-out>&#60;&#38;&#62;]]&#62;
bell ? \ufffd</system-out>
  </testsuite>
</testsuites>
`);
});
