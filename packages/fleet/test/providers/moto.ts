import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MS = 120_000;

/** A request to AWS, as the server got it. */
export interface AwsRequest {
  readonly path: string;
  /** Parameters of EC2's query protocol; empty for other services. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Moto behind a proxy, which records requests and adds what AWS documents and moto lacks: a client
 * token gives one instance.
 */
export interface Moto extends AsyncDisposable {
  readonly endpoint: string;
  readonly requests: readonly AwsRequest[];
  /** Closes the connection after the next calls of an action took effect. */
  readonly loseAnswers: (action: string, count: number) => void;
  /** Answers the next calls of an action by this instead. */
  readonly answer: (action: string, answers: readonly { status: number; body: string }[]) => void;
}

/** Starts moto. */
export async function startMoto(): Promise<Moto> {
  await using stack = new AsyncDisposableStack();
  const probe = createServer();
  const port = await listen(probe);
  probe.close();
  await once(probe, 'close');
  const child = spawn(
    '/usr/bin/python3',
    ['/usr/bin/moto_server', '-H', '127.0.0.1', '-p', `${port}`],
    {
      stdio: 'ignore',
      cwd: tmpdir(),
      env: { PATH: '/usr/bin:/bin', MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: 'true' },
    },
  );
  stack.defer(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const requests: AwsRequest[] = [];
  const lost = new Map<string, number>();
  const prepared = new Map<string, { status: number; body: string }[]>();
  const byToken = new Map<
    string,
    { readonly parameters: string; readonly answer: Promise<Answer> }
  >();
  const respond = async (method: string, one: AwsRequest): Promise<Answer | undefined> => {
    const action = one.parameters['Action'] ?? '';
    const next = prepared.get(action)?.shift();
    if (next !== undefined) return { ...next, body: Buffer.from(next.body), headers: {} };
    const token = action === 'RunInstances' ? one.parameters['ClientToken'] : undefined;
    const known = token === undefined ? undefined : byToken.get(token);
    if (known !== undefined && known.parameters !== one.body.toString()) return mismatch();
    const answer = known?.answer ?? forward(port, method, one);
    if (token !== undefined) {
      const { status } = await answer;
      if (status === 200) byToken.set(token, { parameters: one.body.toString(), answer });
    }
    await answer;
    const count = lost.get(action) ?? 0;
    lost.set(action, count - 1);
    return count > 0 ? undefined : answer;
  };
  // One at a time, so that two calls with one token never reach moto at once.
  let queue: Promise<unknown> = Promise.resolve();
  const proxy = createServer((incoming, outgoing) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const isQuery = /form-urlencoded/.test(incoming.headers['content-type'] ?? '');
      const one: AwsRequest = {
        path: incoming.url ?? '',
        parameters: isQuery ? Object.fromEntries(new URLSearchParams(body.toString())) : {},
        headers: incoming.headers,
        body,
      };
      requests.push(one);
      const turn = queue.then(async () => respond(incoming.method ?? 'GET', one));
      queue = turn.catch(() => undefined);
      const answer = await turn;
      if (answer === undefined) outgoing.destroy();
      else outgoing.writeHead(answer.status, plain(answer.headers)).end(answer.body);
    })();
  });
  const endpoint = `http://127.0.0.1:${await listen(proxy)}`;
  stack.defer(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const deadline = Date.now() + READY_MS;
  const isReady = async (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/moto-api/`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) {
    if (Date.now() > deadline) throw new Error('moto did not start');
    await sleep(300);
  }
  const owned = stack.move();
  return {
    endpoint,
    requests,
    loseAnswers: (action, count) => void lost.set(action, count),
    answer: (action, answers) => void prepared.set(action, [...answers]),
    [Symbol.asyncDispose]: async () => owned.disposeAsync(),
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function forward(port: number, method: string, one: AwsRequest): Promise<Answer> {
  const { host: _, ...headers } = one.headers;
  const outgoing = request({ host: '127.0.0.1', port, method, path: one.path, headers });
  outgoing.end(one.body);
  const [answer] = await once(outgoing, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode, body: Buffer.concat(chunks), headers: answer.headers };
}

function plain({ 'content-type': type, ...headers }: IncomingHttpHeaders): Record<string, string> {
  const own = Object.entries(headers).filter(([name]) => name.startsWith('x-amz'));
  return {
    ...Object.fromEntries(own.map(([name, value]) => [name, String(value)])),
    'content-type': type ?? 'text/xml',
  };
}

/** Returns AWS's answer to a client token with other parameters. */
function mismatch(): Answer {
  return ec2Error(400, 'IdempotentParameterMismatch');
}

/** Returns an error as EC2 does. */
function ec2Error(status: number, code: string): Answer {
  return { status, body: Buffer.from(errorXml(code)), headers: {} };
}

export function errorXml(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>${code}</Code><Message>${code} of the test</Message></Error></Errors><RequestID>00000000-0000-0000-0000-000000000000</RequestID></Response>`;
}
