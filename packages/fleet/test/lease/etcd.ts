import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server of etcd. */
export interface Etcd extends AsyncDisposable {
  readonly port: number;
  readonly process: ChildProcess;
  /** Calls its gateway. */
  readonly call: (path: string, body: object) => Promise<Readonly<Record<string, unknown>>>;
}

/** Starts etcd; with `tls`, its clients need TLS. */
export async function startEtcd(tls?: {
  readonly cert: string;
  readonly key: string;
  /** Authority of the clients, which then need a certificate. */
  readonly clientCa?: string;
}): Promise<Etcd> {
  await using stack = new AsyncDisposableStack();
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'lkt-etcd-')));
  const [port, peerPort] = [await freePort(), await freePort()];
  const [clients, peers] = [
    `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    `http://127.0.0.1:${peerPort}`,
  ];
  const child = spawn(
    'etcd',
    [
      ['--name', 'test', '--data-dir', join(dir.path, 'data'), '--unsafe-no-fsync'],
      ['--listen-client-urls', clients, '--advertise-client-urls', clients],
      ['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers],
      ['--initial-cluster', `test=${peers}`, '--log-level', 'error'],
      tls === undefined ? [] : ['--cert-file', tls.cert, '--key-file', tls.key],
      tls?.clientCa === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', tls.clientCa],
    ].flat(),
    { stdio: ['ignore', 'inherit', 'inherit'], cwd: dir.path },
  );
  stack.defer(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const call: Etcd['call'] = async (path, body) => {
    const options = { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${clients}${path}`, options);
    return (await response.json()) as Readonly<Record<string, unknown>>;
  };
  const accepts = async (): Promise<boolean> =>
    fetch(`${clients}/health`).then(
      () => true,
      // Only TLS, which this client does not trust.
      (error: unknown) => String((error as Error).cause).includes('certificate'),
    );
  while (child.exitCode === null && !(await accepts())) await sleep(50);
  if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`);
  const open = stack.move();
  return { port, process: child, call, [Symbol.asyncDispose]: async () => open.disposeAsync() };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
