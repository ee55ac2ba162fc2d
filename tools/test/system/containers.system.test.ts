import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type Server } from 'node:tls';
import { createAuthority, type Authority, startRegistry, type TestRegistry } from '@lkt/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { banner, boot, type Guest, makeHome, sshOutput } from './helpers/guest.ts';
import { freePort, lkt, root } from './helpers/lkt.ts';
import { pushLogin } from './helpers/pushed-image.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-containers-'));
const home = makeHome(join(dir, 'home'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Returns the first response of a server to a line. */
async function ask(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${text}\r\n`));
    socket.setTimeout(60_000, () => socket.destroy(new Error('no answer within a minute')));
    socket.on('error', reject);
    socket.on('close', () => resolve(''));
    socket.on('data', (data) => {
      resolve(data.toString('latin1'));
      socket.destroy();
    });
  });
}

/** The host's address in the guest. */
const HOST = '10.0.2.2';

/** Starts a TLS proxy for a server of this machine. */
async function secured(to: string, { key, cert }: Authority): Promise<Server> {
  const server = createServer({ key, cert }, (client) => {
    const plain = connect(Number(new URL(to).port), '127.0.0.1');
    client.pipe(plain).pipe(client);
    // When one connection fails, close the other.
    client.on('error', () => plain.destroy());
    plain.on('error', () => client.destroy());
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

describe('containerd.yml, with the service of redis.yml', () => {
  let guest: Guest;
  let registry: TestRegistry;
  let image: string;
  let redis = 0;
  /** Registries with certificates of a known and an unknown authority. */
  let known: Server;
  let strange: Server;
  const over = (server: Server): string =>
    image.replace(/^[^/]+/, `${HOST}:${(server.address() as AddressInfo).port}`);

  const inGuest = async (command: string): Promise<string> => sshOutput(guest.port, home, command);

  beforeAll(async () => {
    registry = await startRegistry();
    ({ image } = await pushLogin(registry));
    const example = readFileSync(join(root, 'examples/redis.yml'), 'utf8');
    const service = example.slice(
      example.indexOf('  - name: valkey'),
      example.indexOf('# Each image must'),
    );
    const more = join(dir, 'more.yml');
    using trusted = createAuthority([HOST]);
    using other = createAuthority([HOST]);
    known = await secured(registry.url, trusted);
    strange = await secured(registry.url, other);
    const file = `files:\n  - path: etc/ssl/certs/of-test.pem\n    mode: '0644'\n    contents: ${JSON.stringify(trusted.ca)}\n`;
    writeFileSync(more, `services:\n${service}${file}`);
    const config = join(root, 'examples/containerd.yml');
    const done = await lkt(['build', '--dir', dir, '--name', 'containerd', config, more], {
      env: { HOME: home },
    });
    expect(done.status, done.stderr).toBe(0);
    redis = await freePort();
    guest = await boot(join(dir, 'containerd'), ['--publish', `127.0.0.1:${redis}:6379`]);
    await guest.until('lkt: boot complete');
    for (let tries = 0; tries < 60 && (await banner(guest.port)) === undefined; tries += 1)
      await sleep(500);
    await inGuest(`ctr image pull --plain-http ${image}`);
  }, 1_800_000);
  afterAll(async () => {
    await guest?.[Symbol.asyncDispose]();
    known?.close();
    strange?.close();
    await registry?.[Symbol.asyncDispose]();
  });

  test('runs an image of a registry with the privileges of a service', async () => {
    const look = 'id; cat /proc/self/status /proc/net/dev; touch /x; cat /proc/1/cgroup';
    const said = await inGuest(`ctr run --rm ${image} first sh -c '${look}'`);
    expect(said).toMatch(/^uid=0/);
    expect(said).toMatch(/^NoNewPrivs:\t1$/m);
    expect(said).toMatch(/^Seccomp:\t2$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      expect(said).toMatch(new RegExp(`^Cap${set}:\t0+$`, 'm'));
    expect(said).toMatch(/^ +lo:/m);
    expect(said).not.toMatch(/^ *eth0:/m);
    expect(said).toMatch(/^0::\/$/m);
  });

  test('finds a user by name, grants requested privileges only, and returns the exit status', async () => {
    const run = `ctr run --rm --read-only --user nobody --cap-add CAP_NET_RAW --net-host ${image} second`;
    const look = 'id -u; grep CapBnd /proc/self/status; cat /etc/resolv.conf; touch /x; exit 7';
    const said = await inGuest(`${run} sh -c '${look}' 2>&1; echo status $?`);
    expect(said).toMatch(/^65534\nCapBnd:\t0{12}2000\n/);
    expect(said).toContain('nameserver 10.0.2.3');
    expect(said).toContain('touch: /x: Read-only file system');
    expect(said).toMatch(/status 7\n$/);
  });

  test('detaches, executes in, kills and removes a container', async () => {
    const said = await inGuest(`ctr run --detach ${image} third sleep 1000 &&
      ctr task ls && ctr task exec --exec-id one third grep NoNewPrivs /proc/self/status &&
      ctr task kill --signal SIGKILL third && sleep 2 && ctr container rm third; echo status $?`);
    expect(said).toMatch(/^third +\d+ +RUNNING$/m);
    expect(said).toMatch(/^NoNewPrivs:\t1\nstatus 0\n$/m);
  });

  test('allocates a terminal on request', async () => {
    const command = `ctr run --rm --tty ${image} fourth sh -c 'tty; echo 6 times 7'`;
    const said = await sshOutput(guest.port, home, command, ['RequestTTY=force']);
    // Two terminals convert the line ends.
    expect(said.replaceAll('\r', '')).toMatch(/^\/dev\/pts\/\d+\n6 times 7\n$/);
  });

  test('trusts a registry only by an authority that the image knows', async () => {
    expect(await inGuest(`ctr image pull ${over(known)}`)).toMatch(/sha256:\w{64}/);
    const said = await inGuest(`ctr image pull ${over(strange)} 2>&1; echo status $?`);
    expect(said).toMatch(/certificate signed by unknown authority/);
    expect(said).toMatch(/status 1\n$/);
  });

  test('shows the services of the image', async () => {
    const said = await inGuest(
      'export CONTAINERD_NAMESPACE=services.linuxkit; ctr task ls; ctr container info --spec valkey',
    );
    expect(said).toMatch(/^valkey +\d+ +RUNNING$/m);
    expect(said).toMatch(/"noNewPrivileges": true/);
    expect(said).toMatch(/"uid": 686,/);
    expect(said).not.toMatch(/"CAP_/);
  });

  test('forwards a port to valkey', async () => {
    expect(await ask(redis, 'PING')).toBe('+PONG\r\n');
    expect(await ask(redis, 'SET a b')).toBe('+OK\r\n');
    expect(await ask(redis, 'GET a')).toBe('$1\r\nb\r\n');
  });
});
