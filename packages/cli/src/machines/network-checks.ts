import { request } from 'node:http';
import { connect } from 'node:net';
import type { MachineCheck } from '@lkt/image';
import type { PublishedPort } from '@lkt/machine';
import { printable } from '../output/printable.ts';

type TcpCheck = Extract<MachineCheck, { kind: 'tcp' }>;
type HttpCheck = Extract<MachineCheck, { kind: 'http' }>;

/** Bytes read of an answer. */
const MAX_ANSWER = 2 ** 20;
/** Time limit of one attempt to reach a server. */
const ATTEMPT_MS = 10_000;

/** Returns why a server does not pass a check; undefined if it does. */
export async function checkTcp(
  { address, hostPort }: PublishedPort,
  { send, matches }: TcpCheck,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: address, port: hostPort, signal });
    const done = (problem: string | undefined): void => {
      socket.destroy();
      resolve(problem);
    };
    const fail = (reason: string): void =>
      done(answer === '' ? reason : `the server sent ${shown(answer)}`);
    socket.setTimeout(ATTEMPT_MS, () => fail('the server sends nothing'));
    if (send !== undefined) socket.write(send);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      answer = (answer + chunk).slice(0, MAX_ANSWER);
      if (matches.test(answer)) done(undefined);
      else if (answer.length === MAX_ANSWER) fail('');
    });
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('the connection was closed'));
  });
}

/** Returns why a response does not pass a check; undefined if it does. Follows no redirects. */
export async function checkHttp(
  { address, hostPort }: PublishedPort,
  { port, path, headers, status, matches }: HttpCheck,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asking = request(
      {
        host: address,
        port: hostPort,
        path,
        headers: { host: `localhost:${port}`, connection: 'close', ...Object.fromEntries(headers) },
        signal,
        timeout: ATTEMPT_MS,
        agent: false,
      },
      (response) => {
        let body = '';
        const judge = (): void => {
          resolve(problemOf(response.statusCode ?? 0, body, status, matches));
          asking.destroy();
        };
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body = (body + chunk).slice(0, MAX_ANSWER);
          if (body.length === MAX_ANSWER) judge();
        });
        response.on('end', judge);
        response.on('error', (error) => resolve(error.message));
      },
    );
    asking.on('timeout', () => asking.destroy(new Error('the server does not answer')));
    asking.on('error', (error) => resolve(error.message));
    asking.on('close', () => resolve('the connection was closed'));
    asking.end();
  });
}

function problemOf(
  found: number,
  body: string,
  status: number,
  matches: RegExp | undefined,
): string | undefined {
  if (found !== status) return `the status is ${found}, not ${status}`;
  if (matches === undefined || matches.test(body)) return undefined;
  return `the body does not match ${matches.source}: ${shown(body)}`;
}

const MAX_SHOWN = 200;

function shown(text: string): string {
  const start = JSON.stringify(printable(text.slice(0, MAX_SHOWN)));
  return text.length > MAX_SHOWN ? `${start}…` : start;
}
