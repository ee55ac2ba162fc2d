import { chmod, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLease } from '../../src/lease/lease-address.ts';
import type { Lease, LeaseKeeper } from '../../src/lease/lease.ts';
import { type Etcd, startEtcd } from './etcd.ts';

const { signal } = new AbortController();
let etcd: Etcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

afterAll(async () => {
  await etcd[Symbol.asyncDispose]();
});

async function open(
  fleet: string,
  address = `etcd://127.0.0.1:${etcd.port}?ttl=2`,
  variables: Readonly<Record<string, string>> = {},
): Promise<LeaseKeeper> {
  return openLease({ fleet, address, dir: '/', defaultPath: '/nowhere', variables });
}

/** Waits for the end of a lease, and returns its reason. */
async function loss({ signal: lost }: Lease): Promise<unknown> {
  if (!lost.aborted) await new Promise((done) => lost.addEventListener('abort', done));
  return lost.reason;
}

test('grants the lease to one controller at a time, each with a larger generation', async () => {
  const [one, other] = [await open('shop'), await open('shop')];
  expect(await one.current(signal)).toBe(0);
  const first = await one.hold(
    async ({ generation }) => {
      const second = other.hold(async () => 'both', { signal });
      await expect(second).rejects.toMatchObject({
        code: 'LEASE_HELD',
        cause: { message: expect.stringContaining(`process ${process.pid}, since 20`) },
      });
      expect(await other.current(signal)).toBe(generation);
      return generation;
    },
    { signal },
  );
  // A clock that was set back, or generations of a lease file before.
  const counter = Buffer.from('lkt/fleets/shop/generation').toString('base64');
  await etcd.call('/v3/kv/put', {
    key: counter,
    value: Buffer.from(`${first + 99_999}`).toString('base64'),
  });
  expect(await other.hold(async ({ generation }) => generation, { signal })).toBe(first + 100_000);
  // Another fleet has its own.
  expect(await (await open('other')).current(signal)).toBe(0);
});

test('keeps the lease for longer than its time to live, and a standby gets it at its end', async () => {
  const order: string[] = [];
  let begin: (() => void) | undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const one = (await open('kept')).hold(
    async (lease) => {
      begin?.();
      await sleep(5000);
      lease.requireHeld();
      order.push('one');
    },
    { signal },
  );
  await begun;
  await (await open('kept')).hold(async () => order.push('other'), { signal, isStandby: true });
  await one;
  expect(order).toEqual(['one', 'other']);
});

test('ends the work before another controller can begin, once etcd does not answer', async () => {
  const address = `etcd://127.0.0.1:${etcd.port}?ttl=4`;
  const order: string[] = [];
  const one = (await open('silent', address)).hold(
    async (lease) => {
      etcd.process.kill('SIGSTOP');
      const reason = await loss(lease);
      order.push('one lost');
      // etcd has kept the lease meanwhile, whatever its own clock does.
      etcd.process.kill('SIGCONT');
      throw reason;
    },
    { signal },
  );
  await expect(one).rejects.toMatchObject({
    code: 'LEASE_LOST',
    cause: { message: 'etcd did not answer for too long' },
  });
  const other = await open('silent', address);
  await other.hold(async () => order.push('other'), { signal, isStandby: true });
  expect(order).toEqual(['one lost', 'other']);
});

test('ends the work at once when etcd has ended the lease', async () => {
  const lost = (await open('revoked')).hold(
    async (lease) => {
      const { leases } = await etcd.call('/v3/lease/leases', {});
      for (const { ID } of leases as readonly { readonly ID: string }[])
        await etcd.call('/v3/lease/revoke', { ID });
      throw await loss(lease);
    },
    { signal },
  );
  await expect(lost).rejects.toMatchObject({
    code: 'LEASE_LOST',
    cause: { message: 'etcd ended it' },
  });
});

test('prevents further changes by a controller that was stopped for too long', async () => {
  await (
    await open('stopped')
  ).hold(
    async (lease) => {
      lease.requireHeld();
      // As after SIGSTOP: no timer has run, and no signal has come.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
      expect(() => lease.requireHeld()).toThrow(expect.objectContaining({ code: 'LEASE_LOST' }));
      expect(lease.signal.aborted).toBe(true);
    },
    { signal },
  );
});

test('takes over from a controller that is gone, with a larger generation', async () => {
  const { ID } = await etcd.call('/v3/lease/grant', { TTL: '2' });
  const put = { key: Buffer.from('lkt/fleets/gone/controller').toString('base64'), lease: ID };
  await etcd.call('/v3/kv/put', {
    ...put,
    value: Buffer.from('a host\u001B[2J').toString('base64'),
  });
  const keeper = await open('gone');
  const held = await keeper.hold(async ({ generation }) => generation, { signal, isStandby: true });
  expect(held).toBeGreaterThan(1_700_000_000);
});

test('stops waiting when interrupted', async () => {
  const stop = new AbortController();
  await (
    await open('busy')
  ).hold(
    async () => {
      const waiting = (await open('busy')).hold(async () => 'both', {
        signal: stop.signal,
        isStandby: true,
      });
      stop.abort(new Error('interrupted'));
      await expect(waiting).rejects.toThrow('interrupted');
    },
    { signal },
  );
});

test('verifies the certificate of etcd, and sends its password', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-etcd-tls-'));
  const { cert, key } = makeCertificate(dir.path, 'etcd');
  await using secure = await startEtcd({ cert, key });
  const address = `etcds://127.0.0.1:${secure.port}?ttl=2`;
  await expect((await open('safe', address)).current(signal)).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
    message: expect.stringContaining('certificate'),
  });
  const trusted = { ETCDCTL_CACERT: cert };
  expect(await readFile(cert, 'utf8')).toContain('CERTIFICATE');
  const keeper = await open('safe', address, trusted);
  expect(await keeper.hold(async ({ generation }) => generation, { signal })).toBeGreaterThan(0);

  const etcdctl = (...args: readonly string[]): void => {
    execFileSync('etcdctl', args, {
      stdio: 'ignore',
      env: {
        ...process.env,
        ETCDCTL_API: '3',
        ETCDCTL_ENDPOINTS: `https://127.0.0.1:${secure.port}`,
        ETCDCTL_CACERT: cert,
      },
    });
  };
  etcdctl('user', 'add', 'root:secret');
  etcdctl('user', 'grant-role', 'root', 'root');
  etcdctl('user', 'add', 'lkt:p:w');
  etcdctl('role', 'add', 'lkt');
  etcdctl('role', 'grant-permission', 'lkt', '--prefix=true', 'readwrite', 'lkt/fleets/');
  etcdctl('user', 'grant-role', 'lkt', 'lkt');
  etcdctl('auth', 'enable');
  await expect(keeper.current(signal)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  const wrong = await open('safe', address, { ...trusted, ETCDCTL_USER: 'lkt:wrong' });
  await expect(wrong.current(signal)).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  const right = await open('safe', address, { ...trusted, ETCDCTL_USER: 'lkt:p:w' });
  const before = await right.current(signal);
  const held = await right.hold(
    async ({ generation, requireHeld }) => {
      await sleep(3000);
      requireHeld();
      return generation;
    },
    { signal },
  );
  expect(held).toBeGreaterThan(before);
});

test('shows a certificate to an etcd that asks clients for it', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'lkt-etcd-tls-'));
  const server = makeCertificate(dir.path, 'etcd');
  const client = makeCertificate(dir.path, 'lkt');
  const stranger = makeCertificate(dir.path, 'stranger');
  // The gateway is a client of etcd, with the certificate of the server.
  const clientCa = join(dir.path, 'clients.pem');
  await writeFile(clientCa, [await readFile(client.cert), await readFile(server.cert)].join(''));
  await using secure = await startEtcd({ ...server, clientCa });
  const address = `etcds://127.0.0.1:${secure.port}?ttl=2`;
  const variablesOf = ({ cert, key }: typeof client): Readonly<Record<string, string>> => ({
    ETCDCTL_CACERT: server.cert,
    ETCDCTL_CERT: cert,
    ETCDCTL_KEY: key,
  });
  const none = await open('safe', address, { ETCDCTL_CACERT: server.cert });
  await expect(none.current(signal)).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  const wrong = await open('safe', address, variablesOf(stranger));
  await expect(wrong.current(signal)).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  const right = await open('safe', address, variablesOf(client));
  expect(await right.hold(async ({ generation }) => generation, { signal })).toBeGreaterThan(0);
  // Another client of this process does not show it.
  await expect(none.current(signal)).rejects.toMatchObject({ code: 'NETWORK_FAILED' });
  const pair = { ...variablesOf(client), ETCDCTL_KEY: stranger.key };
  await expect(open('safe', address, pair)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: `${stranger.key} is not the private key of ${client.cert}`,
  });
  await chmod(client.key, 0o644);
  await expect(open('safe', address, variablesOf(client))).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
  });
});

/** Makes a certificate that signs itself, for servers and clients. */
function makeCertificate(
  dir: string,
  name: string,
): { readonly cert: string; readonly key: string } {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)];
  const about = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const files = ['-keyout', key, '-out', cert, '-days', '2'];
  execFileSync('openssl', ['req', ...options, ...files, ...about], { stdio: 'ignore' });
  return { cert, key };
}
