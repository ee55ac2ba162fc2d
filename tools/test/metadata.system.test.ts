import { execFile } from 'node:child_process';
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Network, network, type Program } from './dhcp/network.ts';
import { buildGoProgram } from './go-program.ts';
import { CLOUDS, USUAL } from './metadata/clouds.ts';

const top = join(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'lkt-metadata-'));
const program = join(dir, 'metadata');
const PROVIDERS = [
  'aws',
  'azure',
  'digitalocean',
  'gcp',
  'hetzner',
  'openstack',
  'scaleway',
  'vultr',
];

beforeAll(async () => buildGoProgram('pkg/metadata', program));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Machine {
  /** Directory of its disks. */
  readonly devices: string;
  /** Output directory of metadata. */
  readonly config: string;
  readonly flags: readonly string[];
}

function machine(): Machine {
  const own = mkdtempSync(join(dir, 'm-'));
  const devices = join(own, 'dev');
  const config = join(own, 'run/config');
  mkdirSync(devices);
  return { devices, config, flags: ['-config', config, '-devices', devices] };
}

/** Returns the contents of all files below a directory, by path. */
function files(root: string): Record<string, string> {
  return Object.fromEntries(
    globSync('**/*', { cwd: root })
      .filter((path) => statSync(join(root, path)).isFile())
      .toSorted()
      .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
  );
}

/** Starts the metadata service of a cloud, at its address. */
async function serve(lan: Network, cloud: string): Promise<Program> {
  const address = CLOUDS[cloud]?.address ?? USUAL;
  const server = lan
    .station('s', `${address}/16`)
    .start(process.execPath, join(import.meta.dirname, 'metadata/server.ts'), cloud);
  await server.says('listening');
  return server;
}

describe.concurrent('metadata', () => {
  test.each(PROVIDERS)('reads the metadata of %s if the config names it', async (provider) => {
    await using lan = network();
    await serve(lan, provider);
    const station = lan.station('c', '169.254.1.1/16');
    const { config, flags } = machine();
    const run = station.start(program, ...flags, provider);
    expect(await run.ended, run.output()).toBe(0);
    expect(files(config), run.output()).toEqual(CLOUDS[provider]?.files);
    expect(statSync(join(config, 'ssh/authorized_keys')).mode & 0o777).toBe(0o600);
  });

  test('detects the named provider among several', async () => {
    await using lan = network();
    await serve(lan, 'hetzner');
    const { config, flags } = machine();
    const run = lan
      .station('c', '169.254.1.1/16')
      .start(program, ...flags, 'gcp', 'hetzner', 'aws');
    expect(await run.ended, run.output()).toBe(0);
    expect(files(config), run.output()).toEqual(CLOUDS['hetzner']?.files);
  });

  test('takes no key from the network unless the config names its provider', async () => {
    await using lan = network();
    const server = await serve(lan, 'aws');
    const { config, flags } = machine();
    const run = lan.station('c', '169.254.1.1/16').start(program, ...flags);
    expect(await run.ended, run.output()).toBe(0);
    expect(run.output()).toContain('no provider has metadata of this machine');
    expect(files(join(config, '..'))).toEqual({});
    expect(server.output()).toBe('listening\n');
  });

  test('asks only the named providers', async () => {
    await using lan = network();
    await serve(lan, 'aws');
    const { config, flags } = machine();
    const others = PROVIDERS.filter((name) => name !== 'aws' && name !== 'scaleway');
    const run = lan.station('c', '169.254.1.1/16').start(program, ...flags, ...others);
    expect(await run.ended).toBe(0);
    expect(run.output()).toContain('no provider has metadata of this machine');
    expect(files(join(config, '..'))).toEqual({});
  });

  test('prefers a disk of "lkt metadata create" to any cloud', async () => {
    await using lan = network();
    const server = await serve(lan, 'aws');
    const { devices, config, flags } = machine();
    const text =
      '{"hostname":{"content":"web"},"ssh":{"entries":{"authorized_keys":{"perm":"0600","content":"ssh-ed25519 A"}}}}';
    // As with "lkt run --disk": a disk, not a CD.
    const disk = join(devices, 'vda');
    await promisify(execFile)(join(top, 'lkt'), ['metadata', 'create', disk, text]);
    writeFileSync(join(devices, 'vdb'), 'another disk'.repeat(10_000));
    const run = lan.station('c', '169.254.1.1/16').start(program, ...flags);
    expect(await run.ended, run.output()).toBe(0);
    expect(files(config)).toEqual({
      provider: 'CDROM /dev/vda',
      userdata: text,
      hostname: 'web',
      'ssh/authorized_keys': 'ssh-ed25519 A',
    });
    expect(server.output()).toBe('listening\n');
  });

  test("reads OpenStack's config drive if the config names it, and asks no service then", async () => {
    await using lan = network();
    const server = await serve(lan, 'openstack');
    const { devices, config, flags } = machine();
    const drive = mkdtempSync(join(dir, 'drive-'));
    mkdirSync(join(drive, 'openstack/latest'), { recursive: true });
    const key = 'ssh-ed25519 A operator';
    const meta = { uuid: '1-2', hostname: 'web.example', public_keys: { operator: key } };
    const text = '{"app":{"entries":{"token":{"perm":"0400","content":"of the owner"}}}}';
    writeFileSync(join(drive, 'openstack/latest/meta_data.json'), JSON.stringify(meta));
    writeFileSync(join(drive, 'openstack/latest/user_data'), text);
    const args = ['-quiet', '-rock', '-volid', 'config-2', '-o', join(devices, 'vdb'), drive];
    await promisify(execFile)('genisoimage', args);
    const station = lan.station('c', '169.254.1.1/16');
    const unnamed = station.start(program, ...flags);
    expect(await unnamed.ended, unnamed.output()).toBe(0);
    expect(files(config)).toEqual({});
    const run = station.start(program, ...flags, 'configdrive', 'openstack');
    expect(await run.ended, run.output()).toBe(0);
    expect(files(config), run.output()).toEqual({
      provider: 'CONFIGDRIVE /dev/vdb',
      instance_id: '1-2',
      hostname: 'web.example',
      'ssh/authorized_keys': `${key}\n`,
      userdata: text,
      'app/token': 'of the owner',
    });
    expect(server.output()).toBe('listening\n');
  });

  test('skips invalid values and takes the rest', async () => {
    await using lan = network();
    await serve(lan, 'hostile');
    const { config, flags } = machine();
    const run = lan.station('c', '169.254.1.1/16').start(program, ...flags, 'vultr');
    expect(await run.ended).toBe(0);
    expect(files(config)).toEqual(CLOUDS['hostile']?.files);
    for (const name of ['hostname', 'instance_id', 'region_code', 'ssh keys'])
      expect(run.output()).toContain(`metadata: skipped: ${name}: `);
    // Terminals get no raw value.
    expect(run.output()).not.toMatch(/[^\n -~]/);
  });

  test('writes none of the files if a path escapes the directory', async () => {
    await using lan = network();
    await serve(lan, 'escaping');
    const { config, flags } = machine();
    const run = lan.station('c', '169.254.1.1/16').start(program, ...flags, 'digitalocean');
    expect(await run.ended).toBe(1);
    expect(run.output()).toContain('none of its files was written');
    const written = globSync('**/*', { cwd: join(config, '../..') }).map((path) =>
      relative('run/config', path),
    );
    expect(written.filter((path) => /escaped|good|^a$/.test(path))).toEqual([]);
    expect(files(config)).toMatchObject({ hostname: 'web' });
  });

  test('follows no redirect', async () => {
    await using lan = network();
    const server = await serve(lan, 'redirecting');
    const station = lan.station('c', '169.254.1.1/16');
    const other = lan.station('o', '169.254.7.7/16');
    const listener = other.start(
      process.execPath,
      '-e',
      "require('net').createServer(() => console.log('reached')).listen(80, () => console.log('listening'))",
    );
    await listener.says('listening');
    const { flags } = machine();
    const run = station.start(program, ...flags, '-v', ...PROVIDERS);
    expect(await run.ended).toBe(0);
    expect(server.output()).toContain('GET /computeMetadata/v1/instance/hostname');
    const asked = server.output().trim().split('\n');
    expect(new Set(asked).size).toBe(asked.length);
    expect(run.output()).toContain('no provider has metadata of this machine');
    expect(listener.output()).toBe('listening\n');
  });

  test('stops waiting after its time limits', async () => {
    await using lan = network();
    await serve(lan, 'mute');
    const { flags } = machine();
    const run = lan.station('c', '169.254.1.1/16').start(program, ...flags, 'gcp', 'vultr');
    expect(await run.ended).toBe(0);
    expect(run.output()).toContain('not gcp: ');
    expect(run.output()).toContain('no provider has metadata of this machine');
  });

  test('tries an address without a host only once', async () => {
    await using lan = network();
    const { flags } = machine();
    const run = lan.station('c', '169.254.1.1/16').start(program, ...flags, '-v', ...PROVIDERS);
    expect(await run.ended).toBe(0);
    expect(run.output()).toMatch(/not aws: .*dial tcp4/);
    expect(run.output()).toContain('not gcp: 169.254.169.254: no host answers\n');
  });

  test('rejects an unknown provider, and lists the known ones', async () => {
    await using lan = network();
    const { flags } = machine();
    const run = lan.station('c').start(program, ...flags, 'clippy');
    expect(await run.ended).toBe(1);
    expect(run.output()).toBe(
      'metadata: error: unknown provider "clippy"\n  fix: use some of cdrom, configdrive, vmware, gcp, azure, digitalocean, vultr, hetzner, openstack, scaleway, aws, file=PATH\n',
    );
  });
});
