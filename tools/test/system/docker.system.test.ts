import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseBuildYml } from '@lkt/pkg';
import { startRegistry, type TestRegistry } from '@lkt/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { banner, boot, type Guest, makeHome, sshOutput } from './helpers/guest.ts';
import { freePort, lkt, root } from './helpers/lkt.ts';
import { pushLogin } from './helpers/pushed-image.ts';

const dir = mkdtempSync(join(tmpdir(), 'lkt-docker-'));
const home = makeHome(join(dir, 'home'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Capabilities in the order of their numbers (capabilities.h). */
const CAPABILITIES =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP'.split(
    ' ',
  );

/** Returns the capabilities in a package's build.yml as the kernel prints a set. */
function maskOf(name: string): string {
  const path = join(root, 'pkg', name, 'build.yml');
  const { config } = parseBuildYml({ path, text: readFileSync(path, 'utf8') }, join(path, '..'));
  const capabilities = (config?.['capabilities'] ?? []) as readonly string[];
  const bits = capabilities.map((capability) => CAPABILITIES.indexOf(capability.slice(4)));
  expect(bits).not.toContain(-1);
  return bits
    .reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n)
    .toString(16)
    .padStart(16, '0');
}

/** Resolves to the data that a client sends to a port of this machine. */
async function heard(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      text += data.toString('latin1');
    });
    socket.on('close', () => resolve(text));
  });
}

describe('docker.yml', () => {
  let guest: Guest;
  let registry: TestRegistry;
  let image: string;
  let published = 0;

  const inGuest = async (command: string): Promise<string> => sshOutput(guest.port, home, command);

  beforeAll(async () => {
    registry = await startRegistry();
    const pushed = await pushLogin(registry);
    ({ image } = pushed);
    const more = join(dir, 'more.yml');
    const settings = JSON.parse(
      readFileSync(join(root, 'pkg/docker/daemon.json'), 'utf8'),
    ) as object;
    const contents = JSON.stringify({ ...settings, 'insecure-registries': [pushed.host] });
    const path = 'containers/services/docker/rootfs/etc/docker/daemon.json';
    writeFileSync(more, `files:\n  - path: ${path}\n    contents: '${contents}'\n`);
    const config = join(root, 'examples/docker.yml');
    const done = await lkt(['build', '--dir', dir, '--name', 'docker', config, more], {
      env: { HOME: home },
    });
    expect(done.status, done.stderr).toBe(0);
    published = await freePort();
    const disk = `${join(dir, 'data.img')},size=4G,format=raw`;
    const publish = `127.0.0.1:${published}:8080`;
    guest = await boot(join(dir, 'docker'), [
      '--mem=1536',
      `--publish=${publish}`,
      `--disk=${disk}`,
    ]);
    await guest.until('lkt: boot complete');
    for (let tries = 0; tries < 60 && (await banner(guest.port)) === undefined; tries += 1)
      await sleep(500);
    // Unlike a test, a hook is not repeated when it fails.
    const pull = async (): Promise<string> => inGuest(`docker pull --quiet ${image}`);
    await pull().catch(pull);
  }, 1_800_000);
  afterAll(async () => {
    await guest?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });

  test("runs a container with its own network, access to the internet and Docker's privileges", async () => {
    const { host } = new URL(`http://${image}`);
    const look = `id -u; grep -e NoNewPrivs -e Seccomp: -e CapBnd /proc/self/status; ip -4 -o addr show eth0; wget -q -O - http://${host}/v2/`;
    const said = await inGuest(`docker run --rm ${image} sh -c '${look}'`);
    expect(said).toMatch(/^0\n/);
    expect(said).toMatch(/^NoNewPrivs:\t1$/m);
    expect(said).toMatch(/^Seccomp:\t2$/m);
    expect(said).toMatch(/^CapBnd:\t00000000a80425fb$/m);
    expect(said).toMatch(/ eth0 +inet 172\.17\./);
    expect(said).toMatch(/\{\}\s*$/);
  });

  test("publishes a container's port as a port of the machine", async () => {
    const serve = 'while echo hello | nc -l -p 80; do :; done';
    await inGuest(`docker run -d --name web -p 8080:80 ${image} sh -c '${serve}'`);
    let text = '';
    for (let tries = 0; tries < 60 && text === ''; tries += 1) {
      await sleep(500);
      text = await heard(published);
    }
    expect(text).toBe('hello\n');
    expect(await inGuest('docker ps --format "{{.Names}} {{.State}}"')).toBe('web running\n');
    expect(await inGuest('docker rm --force web')).toBe('web\n');
  });

  test('limits containers by control groups, and sees only its own', async () => {
    const own = `docker run --rm --memory 64m ${image} cat /sys/fs/cgroup/memory.max`;
    expect(await inGuest(own)).toBe('67108864\n');
    const all = `docker run --rm --cgroupns host ${image} ls /sys/fs/cgroup`;
    const names = (await inGuest(all)).trim().split('\n');
    expect(names).toEqual(expect.arrayContaining(['daemon', 'docker']));
    // The root control group has neither.
    expect(names).toEqual(expect.arrayContaining(['cgroup.type', 'memory.max']));
  });

  test('gives the daemon the capabilities of its build.yml, and stores its files on the disk', async () => {
    const look = 'cat /proc/1/status /proc/1/mounts';
    const said = await inGuest(`docker run --rm --pid host ${image} sh -c '${look}'`);
    expect(said).toMatch(/^Name:\tdocker-start$/m);
    expect(said).toMatch(/^NoNewPrivs:\t1$/m);
    for (const set of ['Prm', 'Eff', 'Bnd'])
      expect(said).toMatch(new RegExp(`^Cap${set}:\t${maskOf('docker')}$`, 'm'));
    expect(said).toMatch(/^\/dev\/vda1 \/var\/lib\/docker ext4 rw,nosuid,nodev/m);
    expect(said).toMatch(/^\S+ \/ \S+ ro[ ,]/m);
  });
});
